/** How a node and the services that it asks authenticate each other: by certificate, and by token. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Authority } from '@breakwater/broker'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'
import { startHttpService } from './http-service.ts'

function startWith(environment: Readonly<Record<string, string>>): Promise<TestNode> {
  return startNode({
    listen: ['mqtt://127.0.0.1:0'],
    allowAnonymous: false,
    limits: { authHttpCacheMs: 0 },
    environment,
  })
}

async function login(node: TestNode, password = 'sesame'): Promise<number> {
  await using client = await WireClient.open(node)
  return (await client.connect({ clientId: 'c', username: 'ann', password })).returnCode
}

const replace = (file: string, text: string): void => {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

const isRead = (node: TestNode, file: string) =>
  node.logged(({ path, why }) => path === file && why === undefined)

test('the node trusts the auth service by a configured authority, which may be replaced', async () => {
  const [first, second] = [await Authority.create('one'), await Authority.create('two')]
  const leaf = { commonName: 'auth', usage: 'server', alternativeNames: ['127.0.0.1'] } as const
  const tls = await second.issue(leaf)
  await using service = await startHttpService((response) => response.end('{"result":"allow"}'), {
    tls,
  })
  const file = join(temporaryDirectory('hook-'), 'ca.pem')
  writeFileSync(file, first.pair.cert)
  await using node = await startWith({
    BREAKWATER_AUTH_HTTP_URL: service.url,
    BREAKWATER_AUTH_HTTP_CA: file,
  })
  expect(await login(node)).toBe(3)
  const { detail } = await node.logged(({ reason }) => reason === 'authentication-unavailable')
  expect(detail).toMatch(
    /^127\.0\.0\.1:\d+: [A-Z_]+; name its authority with BREAKWATER_AUTH_HTTP_CA$/,
  )
  replace(file, second.pair.cert)
  await isRead(node, file)
  expect(await login(node)).toBe(0)
})

test('the log names a certificate for another host as the cause', async () => {
  const authority = await Authority.create('one')
  const tls = await authority.issue({
    commonName: 'auth',
    usage: 'server',
    alternativeNames: ['auth.example'],
  })
  await using service = await startHttpService((response) => response.end('{"result":"allow"}'), {
    tls,
  })
  const file = join(temporaryDirectory('hook-'), 'ca.pem')
  writeFileSync(file, authority.pair.cert)
  await using node = await startWith({
    BREAKWATER_AUTH_HTTP_URL: service.url,
    BREAKWATER_AUTH_HTTP_CA: file,
  })
  expect(await login(node)).toBe(3)
  await node.logged(({ detail }) => detail === `${service.host}: ERR_TLS_CERT_ALTNAME_INVALID`)
})

test('token keys are fetched from a service whose certificate a configured authority has signed', async () => {
  const authority = await Authority.create('one')
  const tls = await authority.issue({
    commonName: 'keys',
    usage: 'server',
    alternativeNames: ['127.0.0.1'],
  })
  const { privateKey, publicKey } = await generateKeyPair('EdDSA')
  const keys = JSON.stringify({ keys: [await exportJWK(publicKey)] })
  await using service = await startHttpService((response) => response.end(keys), { tls })
  const file = join(temporaryDirectory('keys-'), 'ca.pem')
  writeFileSync(file, authority.pair.cert)
  await using node = await startWith({
    BREAKWATER_JWT_KEYS: service.url,
    BREAKWATER_JWT_CA: file,
  })
  const token = new SignJWT().setProtectedHeader({ alg: 'EdDSA' }).setSubject('ann')
  expect(await login(node, await token.setExpirationTime('1h').sign(privateKey))).toBe(0)
})

test('the node sends the auth service the token of a file, which may change, and logs the token nowhere', async () => {
  await using service = await startHttpService((response, { headers }) => {
    const isRight = headers.authorization === 'Bearer second-token'
    response.writeHead(isRight ? 200 : 401).end('{"result":"allow"}')
  })
  const file = join(temporaryDirectory('hook-'), 'token')
  writeFileSync(file, 'first-token\n')
  await using node = await startWith({
    BREAKWATER_AUTH_HTTP_URL: service.url,
    BREAKWATER_AUTH_HTTP_TOKEN_FILE: file,
  })
  expect(await login(node)).toBe(3)
  expect(service.questions[0]?.headers.authorization).toBe('Bearer first-token')
  await node.logged(({ detail }) => detail === `${service.host}: answered with status 401`)
  replace(file, 'two words\n')
  await node.logged(({ path, why }) => path === file && why !== undefined)
  replace(file, 'second-token\n')
  await isRead(node, file)
  expect(await login(node)).toBe(0)
  expect(JSON.stringify(node.logs())).not.toMatch(/first-token|second-token|two words/)
})
