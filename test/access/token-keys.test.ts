/** Token keys of a key service: new keys, unknown keys, no keys; and keys of a file that changes. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Limits } from '@breakwater/config'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'
import { startHttpService } from './http-service.ts'

interface Signer {
  readonly jwk: JWK
  readonly key: CryptoKey
}

let old: Signer
let fresh: Signer

beforeAll(async () => {
  const make = async (): Promise<Signer> => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    return { jwk: await exportJWK(publicKey), key: privateKey }
  }
  ;[old, fresh] = [await make(), await make()]
})

const sign = (key: CryptoKey, kid: string | undefined): Promise<string> =>
  new SignJWT()
    .setProtectedHeader({ alg: 'ES256', ...(kid === undefined ? {} : { kid }) })
    .setSubject('ann')
    .setExpirationTime('1h')
    .sign(key)

function startFetching(url: string, limits: Partial<Limits> = {}): Promise<TestNode> {
  return startNode({
    listen: ['mqtt://127.0.0.1:0'],
    limits,
    allowAnonymous: false,
    environment: { BREAKWATER_JWT_KEYS: url },
  })
}

async function login(node: TestNode, password: string): Promise<number> {
  await using client = await WireClient.open(node)
  return (await client.connect({ clientId: 'c', username: 'ann', password })).returnCode
}

test('a new key is fetched when the first token arrives that names it or names no key', async () => {
  let keys: readonly JWK[] = [{ ...old.jwk, kid: 'old' }]
  await using service = await startHttpService((response) => response.end(JSON.stringify({ keys })))
  await using node = await startFetching(service.url)
  expect(await login(node, await sign(old.key, 'old'))).toBe(0)
  keys = [...keys, { ...fresh.jwk, kid: 'fresh' }]
  expect(await login(node, await sign(fresh.key, 'fresh'))).toBe(0)
  expect(await login(node, await sign(old.key, 'old'))).toBe(0)
  const another = await generateKeyPair('ES256')
  keys = [...keys, await exportJWK(another.publicKey)]
  expect(await login(node, await sign(another.privateKey, undefined))).toBe(0)
  expect(await login(node, await sign((await generateKeyPair('ES256')).privateKey, 'fresh'))).toBe(
    4,
  )
})

test('tokens that each name another unknown key cost a bounded number of fetches, and do not delay a new key', async () => {
  let keys: readonly JWK[] = [{ ...old.jwk, kid: 'old' }]
  await using service = await startHttpService((response) => response.end(JSON.stringify({ keys })))
  await using node = await startFetching(service.url, { jwtKeysFetchesPerMinuteMax: 60 })
  const foreign = await generateKeyPair('ES256')
  const wrong = async (index: number): Promise<number> =>
    login(node, await sign(foreign.privateKey, `random-${index}`))
  const startedAt = performance.now()
  const flood = Array.from({ length: 60 }, (_, index) => wrong(index))
  keys = [...keys, { ...fresh.jwk, kid: 'fresh' }]
  expect(await login(node, await sign(fresh.key, 'fresh'))).toBe(0)
  expect(new Set(await Promise.all(flood))).toEqual(new Set([4]))
  // Four at once, and one each second.
  const seconds = (performance.now() - startedAt) / 1_000
  expect(service.questions.length).toBeLessThanOrEqual(5 + seconds)
})

test('while the key service is unreachable known keys stay in use, and a token with an unknown key is answered as unavailable', async () => {
  let isWell = true
  await using service = await startHttpService((response) => {
    if (isWell) response.end(JSON.stringify({ keys: [{ ...old.jwk, kid: 'old' }] }))
    else response.writeHead(503).end()
  })
  await using node = await startFetching(service.url)
  expect(await login(node, await sign(old.key, 'old'))).toBe(0)
  isWell = false
  expect(await login(node, await sign(fresh.key, 'fresh'))).toBe(3)
  expect(await login(node, await sign(old.key, 'old'))).toBe(0)
  await node.logged(({ why }) => why === `${service.host}: answered with status 503`)
  const page = await MetricsPage.of(node)
  expect(page.value('breakwater_jwt_keys_age_seconds')).toBeGreaterThan(0)
  expect(page.value('breakwater_jwt_keys_fetches_total', { result: 'error' })).toBeGreaterThan(0)
  isWell = true
  expect(await login(node, await sign(fresh.key, 'fresh'))).toBe(4)
  await node.logged(({ msg }) => msg === 'token keys fetched again')
})

test.each([
  ['something that is not JSON', '<html>', /is no JSON Web Key Set/],
  ['no keys', '{"keys":[]}', /holds no key/],
  ['a private key', '{"keys":[{"kty":"EC","d":"x"}]}', /holds a private key/],
])(
  'the log distinguishes a key service that answers with %s from an unreachable one',
  async (_, text, why) => {
    await using service = await startHttpService((response) => response.end(text))
    await using node = await startFetching(service.url)
    const line = await node.logged(({ msg }) => String(msg).startsWith('token keys cannot'))
    expect(line['why']).toMatch(why)
    expect(line['why']).toContain(service.host)
    expect(await login(node, await sign(old.key, 'old'))).toBe(3)
  },
)

test('a key file is read again when it changes; an invalid version is refused, and the old keys stay in use', async () => {
  const file = join(temporaryDirectory('keys-'), 'keys.json')
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  put(JSON.stringify({ keys: [{ ...old.jwk, kid: 'old' }] }))
  await using node = await startFetching(file)
  expect(await login(node, await sign(fresh.key, 'fresh'))).toBe(4)
  put('{"keys":[{}]}')
  await node.logged(({ path, why }) => path === file && why !== undefined)
  expect(await login(node, await sign(old.key, 'old'))).toBe(0)
  put(JSON.stringify({ keys: [{ ...fresh.jwk, kid: 'fresh' }] }))
  await node.logged(({ path, why }) => path === file && why === undefined)
  expect(await login(node, await sign(fresh.key, 'fresh'))).toBe(0)
  expect(await login(node, await sign(old.key, 'old'))).toBe(4)
})
