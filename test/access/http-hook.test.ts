/** The HTTP hook with an auth service that answers, refuses, is slow, fails, or is unreachable. */
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Limits } from '@breakwater/config'
import { expect, test } from 'vitest'
import { startNode, type LogLine, type TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import type { ConnectFields } from '../kit/wire-encoder.ts'
import { startHttpService, type HttpService } from './http-service.ts'

const ANN = { clientId: 'meter-7', username: 'ann', password: 'sesame' }

function startAsking(
  { url }: Pick<HttpService, 'url'>,
  limits: Partial<Limits> = {},
  environment: Readonly<Record<string, string>> = {},
): Promise<TestNode> {
  return startNode({
    listen: ['mqtt://127.0.0.1:0'],
    limits,
    allowAnonymous: false,
    environment: { BREAKWATER_AUTH_HTTP_URL: url, ...environment },
  })
}

async function login(node: TestNode, fields: ConnectFields = {}): Promise<number> {
  await using client = await WireClient.open(node)
  return (await client.connect({ ...ANN, ...fields })).returnCode
}

const closed = (node: TestNode): readonly LogLine[] =>
  node.logs().filter(({ msg }) => msg === 'connection closed')

test('the auth service gets client id, user name, password and address, and its answer decides the login', async () => {
  await using service = await startHttpService((response, { body }) => {
    const result = { ann: 'allow', bob: 'deny' }[String(body?.['username'])] ?? 'ignore'
    response.end(JSON.stringify({ result, username: 'Ann', claims: { site: 'north' } }))
  })
  await using node = await startAsking(service)
  expect(await login(node)).toBe(0)
  expect(await login(node, { username: 'bob' })).toBe(4)
  expect(await login(node, { username: 'eve' })).toBe(4)
  expect(service.questions[0]?.body).toEqual({
    clientId: 'meter-7',
    username: 'ann',
    password: Buffer.from('sesame').toString('base64'),
    peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
  })
})

test('an answer of the auth service with an empty user name leaves the client the user name of its CONNECT', async () => {
  await using service = await startHttpService((response) => {
    response.end('{"result":"allow","username":""}')
  })
  const clientId = { BREAKWATER_CLIENT_ID: '${username}' }
  await using node = await startAsking(service, {}, clientId)
  expect(await login(node, { clientId: 'ann' })).toBe(0)
  expect(await login(node, { clientId: 'bob' })).toBe(2)
})

test('an allowing answer of the auth service is cached for the same question from any port, a denying answer is not cached', async () => {
  await using service = await startHttpService((response, { body }) => {
    response.end(JSON.stringify({ result: body?.['username'] === 'ann' ? 'allow' : 'deny' }))
  })
  const proxied = ['mqtt://127.0.0.1:0?proxy=127.0.0.1']
  await using node = await startNode({
    listen: proxied,
    allowAnonymous: false,
    environment: { BREAKWATER_AUTH_HTTP_URL: service.url },
  })
  const from = async (address: string, fields: ConnectFields = {}): Promise<number> => {
    await using client = await WireClient.open(node)
    client.send(Buffer.from(`PROXY TCP4 ${address} 127.0.0.1 4711 1883\r\n`))
    return (await client.connect({ ...ANN, ...fields })).returnCode
  }
  for (let time = 0; time < 5; time += 1) expect(await from('192.0.2.1')).toBe(0)
  expect(service.questions).toHaveLength(1)
  // Each of these is another question.
  await from('192.0.2.2')
  await from('192.0.2.1', { password: 'other' })
  await from('192.0.2.1', { clientId: 'meter-8' })
  expect(service.questions).toHaveLength(4)
  for (let time = 0; time < 3; time += 1)
    expect(await from('192.0.2.1', { username: 'bob' })).toBe(4)
  expect(service.questions).toHaveLength(7)
})

test.each([
  [
    'status 500',
    (response: ServerResponse) => response.writeHead(500).end('{"result":"allow"}'),
    /status 500/,
  ],
  [
    'status 403',
    (response: ServerResponse) => response.writeHead(403).end('{"result":"allow"}'),
    /status 403/,
  ],
  ['something that is not JSON', (response: ServerResponse) => response.end('allow'), /no JSON/],
  [
    'an unknown result',
    (response: ServerResponse) => response.end('{"result":"yes"}'),
    /something else/,
  ],
  [
    'more than 65,536 bytes',
    (response: ServerResponse) => response.end(`{"x":"${'x'.repeat(100_000)}"}`),
    /65536 bytes/,
  ],
  [
    'a redirect',
    (response: ServerResponse) => response.writeHead(302, { location: '/' }).end(),
    /status 302/,
  ],
  ['silence', () => undefined, /no answer within 200 ms/],
  [
    'half an answer',
    (response: ServerResponse) =>
      response.writeHead(200, { 'content-length': '99' }).write('{', () => response.destroy()),
    /ECONNRESET/,
  ],
  [
    'an expiry in words',
    (response: ServerResponse) => response.end('{"result":"allow","expiresAt":"tomorrow"}'),
    /expiresAt that is not a date: string/,
  ],
  [
    'an expiry that no date can represent',
    (response: ServerResponse) => response.end('{"result":"allow","expiresAt":1e300}'),
    /not a date: 1e\+300/,
  ],
  [
    'an infinite expiry',
    (response: ServerResponse) => response.end('{"result":"allow","expiresAt":1e999}'),
    /not a date: Infinity/,
  ],
  [
    'an expiry before 1970',
    (response: ServerResponse) => response.end('{"result":"allow","expiresAt":-1}'),
    /not a date: -1/,
  ],
] as const)(
  'an auth service that answers with %s refuses the login, and the log names the host and the cause',
  async (_, respond, cause) => {
    await using service = await startHttpService((response) => respond(response))
    await using node = await startAsking(service, { authHttpTimeoutMs: 200 })
    expect(await login(node)).toBe(3)
    const line = await node.logged(({ msg }) => msg === 'connection closed')
    expect(line).toMatchObject({ reason: 'authentication-unavailable' })
    expect(line['detail']).toMatch(cause)
    expect(line['detail']).toContain(`${service.host}: `)
  },
)

test('a login with an expiry in the past is refused, and its will is not published', async () => {
  const seconds = Math.floor(Date.now() / 1_000)
  await using service = await startHttpService((response, { body }) => {
    const expiresAt = body?.['username'] === 'ann' ? seconds - 1 : seconds + 600
    response.end(JSON.stringify({ result: 'allow', expiresAt }))
  })
  await using node = await startAsking(service)
  await using watcher = await WireClient.open(node)
  await watcher.connect({ clientId: 'watcher', username: 'bob', password: 'x' })
  await watcher.subscribe(['#', 0])
  expect(await login(node)).toBe(4)
  await node.logged(({ reason }) => reason === 'login-expired')
  await watcher.expectSilence()
})

test('the log names host and cause when the auth service is unreachable', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  await new Promise((resolve) => server.close(resolve))
  await using node = await startAsking({ url: `http://${host}` })
  expect(await login(node)).toBe(3)
  await node.logged(({ detail }) => detail === `${host}: ECONNREFUSED`)
})

test('the node pauses its requests to an auth service that keeps failing', async () => {
  await using service = await startHttpService((response) => response.writeHead(503).end())
  await using node = await startAsking(service)
  for (let time = 0; time < 20; time += 1) expect(await login(node)).toBe(3)
  expect(service.questions).toHaveLength(5)
  expect(closed(node).at(-1)?.['detail']).toMatch(
    /auth service failed \d+ times; next try (in \d+ s|as soon as)/,
  )
})

test.each([400, 403, 429, 500])(
  'a user that the auth service answers with status %d does not keep other users from logging in',
  async (status) => {
    await using service = await startHttpService((response, { body }) => {
      if (body?.['username'] === 'eve') response.writeHead(status).end()
      else response.end('{"result":"allow"}')
    })
    await using node = await startAsking(service)
    for (let time = 0; time < 10; time += 1) expect(await login(node, { username: 'eve' })).toBe(3)
    const others = ['ann', 'bob', 'cid'].map((username) =>
      login(node, { username, clientId: `meter-${username}` }),
    )
    expect(await Promise.all(others)).toEqual([0, 0, 0])
  },
)
