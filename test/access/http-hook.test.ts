/** The HTTP hook against a server that answers, refuses, is slow, breaks, or is away. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Answer, Credentials } from '../../packages/broker/src/auth/answer.ts'
import { HttpHook, type HttpHookOptions } from '../../packages/broker/src/auth/http-hook.ts'

const ANN: Credentials = {
  clientId: 'meter-7',
  username: 'ann',
  password: Buffer.from('sesame'),
  certificate: undefined,
  peer: '127.0.0.1:1',
  site: undefined,
}

async function serve(
  handle: (body: Record<string, unknown>, response: ServerResponse) => void,
): Promise<{
  readonly url: URL
  readonly asked: () => number
  readonly stop: () => Promise<void>
}> {
  let asked = 0
  const server = createServer((request: IncomingMessage, response) => {
    asked += 1
    void (async () => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      handle(JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>, response)
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(stop)
  const { port } = server.address() as AddressInfo
  return { url: new URL(`http://127.0.0.1:${port}/auth`), asked: () => asked, stop }
}

function hook(url: URL, options: Partial<HttpHookOptions> = {}) {
  const made = new HttpHook({ url, timeoutMs: 2_000, cacheMs: 60_000, ...options })
  return (changes: Partial<Credentials> = {}): Promise<Answer | undefined> =>
    made.authenticate({ ...ANN, ...changes })
}

test('the service is told who comes, and its word counts', async () => {
  const bodies: Record<string, unknown>[] = []
  const { url } = await serve((body, response) => {
    bodies.push(body)
    const result = { ann: 'allow', bob: 'deny' }[String(body['username'])] ?? 'ignore'
    response.end(
      JSON.stringify({ result, username: 'Ann', claims: { site: 'north' }, expiresAt: 9 }),
    )
  })
  const ask = hook(url)
  expect(await ask()).toEqual({ username: 'Ann', claims: { site: 'north' }, expiresAt: 9_000 })
  expect(await ask({ username: 'bob' })).toEqual({ refused: 'bad-credentials' })
  expect(await ask({ username: 'eve' })).toBeUndefined()
  expect(bodies[0]).toEqual({
    clientId: 'meter-7',
    username: 'ann',
    password: Buffer.from('sesame').toString('base64'),
    peer: '127.0.0.1:1',
  })
})

test('a right answer is remembered for the same credentials, a wrong one is not', async () => {
  const { url, asked } = await serve((body, response) => {
    response.end(JSON.stringify({ result: body['username'] === 'ann' ? 'allow' : 'deny' }))
  })
  const ask = hook(url)
  for (let time = 0; time < 5; time += 1) expect(await ask()).toMatchObject({ username: 'ann' })
  expect(asked()).toBe(1)
  await ask({ password: Buffer.from('other') })
  expect(asked()).toBe(2)
  for (let time = 0; time < 3; time += 1) await ask({ username: 'bob' })
  expect(asked()).toBe(5)
  const forgetful = hook(url, { cacheMs: 0 })
  await forgetful()
  await forgetful()
  expect(asked()).toBe(7)
})

test.each([
  [
    'another status',
    (response: ServerResponse) => response.writeHead(500).end('{"result":"allow"}'),
  ],
  ['no JSON', (response: ServerResponse) => response.end('allow')],
  ['another result', (response: ServerResponse) => response.end('{"result":"yes"}')],
  ['too much', (response: ServerResponse) => response.end(`{"x":"${'x'.repeat(100_000)}"}`)],
  ['a redirect', (response: ServerResponse) => response.writeHead(302, { location: '/' }).end()],
  ['nothing', () => undefined],
] as const)('%s is no answer', async (_, respond) => {
  const { url } = await serve((_body, response) => void respond(response))
  const answer = await hook(url, { timeoutMs: 200 })()
  expect(answer).toMatchObject({ refused: 'authentication-unavailable' })
})

test('a service that fails again and again is left alone', async () => {
  const { url, asked, stop } = await serve((_, response) => response.writeHead(503).end())
  const ask = hook(url)
  for (let time = 0; time < 20; time += 1)
    expect(await ask()).toMatchObject({ refused: 'authentication-unavailable' })
  expect(asked()).toBe(5)
  await stop()
  expect(await ask()).toMatchObject({ detail: /left alone/ })
})
