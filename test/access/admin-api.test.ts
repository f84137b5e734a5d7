/** The admin API: authentication, what it shows, and invalid requests of every kind. */
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { ADMIN_TOKEN, adminEnvironment, askAdmin } from '../kit/admin-client.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'

const ANN = { username: 'ann', password: 'her secret' }

const listen = ['mqtt://127.0.0.1:0']
const PATIENCE = { interval: 50 } as const

/** What the node answers to these bytes; it may end the connection then. */
async function answerTo({ adminPort }: TestNode, bytes: string): Promise<string> {
  const socket = connect(adminPort, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    if (text.includes('\r\n\r\n')) break
  }
  socket.destroy()
  return text.split('\r\n', 1)[0] as string
}

const POST = [
  'POST /api/v1/revocations HTTP/1.1',
  'Host: localhost',
  `Authorization: Bearer ${ADMIN_TOKEN}`,
  'Content-Type: application/json',
] as const

describe('the admin API of a node that has a token file', () => {
  const environment = adminEnvironment()
  let node: TestNode
  beforeAll(async () => {
    node = await startNode({
      listen,
      environment,
      users: { ann: ANN.password },
      allowAnonymous: true,
    })
  })
  afterAll(() => node[Symbol.asyncDispose]())

  it.each([
    ['GET', 'nodes'],
    ['GET', 'clients'],
    ['DELETE', 'clients/c'],
    ['GET', 'revocations'],
    ['POST', 'revocations'],
    ['DELETE', 'revocations/clientId:c'],
    ['GET', 'nothing-here'],
  ])('answers %s %s with 401 without the right token', async (method, path) => {
    for (const token of [null, '', 'another token', `${ADMIN_TOKEN}x`, ADMIN_TOKEN.slice(1)]) {
      const answer = await askAdmin(node, method, path, { token })
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    }
  })

  it.each([
    ['GET', 'nothing-here', 404],
    ['GET', '', 404],
    ['GET', 'clients/a/b', 404],
    ['GET', 'clients/nobody', 404],
    ['GET', 'revocations/clientId:c', 405],
    ['PUT', 'revocations', 405],
    ['POST', 'nodes', 405],
    ['DELETE', 'clients/nobody', 404],
    ['DELETE', 'clients/%ff', 400],
    ['DELETE', 'revocations/clientId:nobody', 404],
    ['DELETE', 'revocations/nothing', 404],
    ['GET', 'clients?limit=0', 400],
    ['GET', 'clients?limit=1001', 400],
    ['GET', 'clients?cursor=x', 400],
    ['GET', 'clients?limit=1&limit=1', 400],
    ['GET', 'clients?clientId=a&clientId=a', 400],
    ['GET', 'clients?clientid=a', 400],
    ['GET', 'clients?clientId=a&limit=1', 400],
    ['GET', 'clients?clientId=', 400],
    ['GET', 'clients?clientId=%ff', 400],
    ['GET', 'clients?clientId=a+b', 400],
    ['GET', 'clients?clientId=nobody', 404],
    ['GET', 'clients/nobody?limit=1', 400],
    ['GET', 'nodes?verbose', 400],
    ['GET', 'revocations?limit=1', 400],
    ['DELETE', 'clients', 400],
    ['DELETE', 'clients?clientId=nobody', 404],
    ['DELETE', 'clients?id=nobody', 400],
    ['DELETE', 'revocations', 400],
    ['DELETE', 'revocations?id=clientId:nobody', 404],
    ['GET', 'sessions', 400],
    ['GET', 'sessions?clientId=nobody', 404],
    ['GET', 'sessions/nobody', 404],
    ['DELETE', 'sessions?clientId=nobody', 404],
    ['POST', 'sessions', 405],
    ['PATCH', 'clients/nobody', 405],
    ['POST', 'clients/nobody', 405],
    ['POST', 'nodes/lookup', 404],
    ['GET', 'constructor', 404],
    ['POST', 'clients/constructor', 405],
    ['POST', 'sessions/toString', 404],
    ['GET', 'clients/', 404],
    ['GET', 'clients?%zz', 400],
  ])('answers %s %s with status %i and a one-line error in JSON', async (method, path, status) => {
    const answer = await askAdmin(node, method, path)
    expect([answer.status, answer.body?.['error']]).toEqual([status, expect.stringMatching(/^.+$/)])
    if (status === 405) expect(answer.headers.get('allow')).toMatch(/^(GET|POST|DELETE|, )+$/)
  })

  it.each([
    ['no field', {}],
    ['two keys', { clientId: 'a', username: 'b' }],
    ['an unknown field', { clientId: 'a', colour: 'red' }],
    ['an empty value', { clientId: '' }],
    ['a number', { clientId: 1 }],
    ['a value that is too long', { clientId: 'é'.repeat(32_768) }],
    ['a value that is not valid Unicode', { clientId: '\ud800' }],
    ['a serial number that is not hexadecimal', { serial: 'xyz' }],
    ['a fingerprint of another hash', { fingerprint: 'ab'.repeat(20) }],
    ['an end in the past', { clientId: 'a', until: '2020-01-01T00:00:00Z' }],
    ['an end that is not a timestamp', { clientId: 'a', until: 'tomorrow' }],
    ['an end on a day that does not exist', { clientId: 'a', until: '2999-02-31T00:00:00Z' }],
    ['a reason that is too long', { clientId: 'a', reason: 'x'.repeat(257) }],
    ['a list as its body', []],
  ])('refuses a revocation with %s, with status 400', async (_title, body) => {
    const answer = await askAdmin(node, 'POST', 'revocations', { body })
    expect([answer.status, answer.body?.['error']]).toEqual([400, expect.stringMatching(/\w/)])
  })

  it('refuses a body that is not valid JSON or has another content type', async () => {
    const post = (type: string, body: string): Promise<string> =>
      answerTo(
        node,
        [
          ...POST.slice(0, 3),
          `Content-Type: ${type}`,
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n'),
      )
    expect(await post('application/json', '{"clientId":')).toMatch(/ 400 /)
    expect(await post('text/plain', '{"clientId":"a"}')).toMatch(/ 415 /)
    expect(await post('application/json', '"\xff"')).toMatch(/ 400 /)
    // It is unclear which of the two values was meant.
    expect(await post('application/json', '{"clientId":"a","clientId":"b"}')).toMatch(/ 400 /)
    expect(await post('application/json', '{"clientId":"a","client\\u0049d":"b"}')).toMatch(/ 400 /)
    expect(await post('application/json', '{"clientId":"a:\\"b\\":{"}')).toMatch(/ 201 /)
  })

  it('refuses a body that is too large, with and without Content-Length', async () => {
    const announced = [...POST, 'Content-Length: 1000000', '\r\n'].join('\r\n')
    expect(await answerTo(node, announced)).toMatch(/ 413 /)
    const chunk = `${(600_000).toString(16)}\r\n${'x'.repeat(600_000)}\r\n`
    const unannounced = [...POST, 'Transfer-Encoding: chunked', `\r\n${chunk}`].join('\r\n')
    expect(await answerTo(node, unannounced)).toMatch(/ 413 /)
  })

  it('answers 408 when the body does not arrive', async () => {
    await using hasty = await startNode({
      listen,
      environment,
      limits: { adminRequestTimeoutMs: 500 },
    })
    const slow = [...POST, 'Content-Length: 100', '\r\n{"clientId"'].join('\r\n')
    expect(await answerTo(hasty, slow)).toMatch(/ 408 /)
  })

  it('lists clients page by page, shows one client, and closes one', async () => {
    await using stack = new AsyncDisposableStack()
    const ids = Array.from({ length: 5 }, () => `${unique('c')}/ä`)
    const clients = []
    for (const clientId of ids)
      clients.push(stack.use(await connectAt(node, { clientId, ...ANN, clean: false })))
    await clients[0]?.subscribe(['a/b', 1])
    const seen: unknown[] = []
    let cursor: string | null = ''
    for (let page = 0; cursor !== null; page += 1) {
      expect(page).toBeLessThan(5)
      const query = page === 0 ? '' : `&cursor=${cursor}`
      const { body } = await askAdmin(node, 'GET', `clients?limit=2${query}`)
      const shown = body?.['clients'] as { clientId: string }[]
      expect(shown.length).toBeLessThanOrEqual(2)
      seen.push(...shown.map(({ clientId }) => clientId))
      cursor = body?.['cursor'] as string | null
    }
    expect(seen).toEqual(ids)
    const [first = ''] = ids
    const path = `clients/${encodeURIComponent(first)}`
    const { body } = await askAdmin(node, 'GET', path)
    expect(body).toMatchObject({
      clientId: first,
      username: 'ann',
      session: 'persistent',
      subscriptions: 1,
      protocol: '3.1.1',
      certificate: null,
    })
    expect((await askAdmin(node, 'DELETE', path)).status).toBe(204)
    await clients[0]?.untilClosed()
    expect(node.closeReasons()).toEqual(['kicked'])
    for (const client of clients.slice(1)) await client.expectSilence()
    expect((await askAdmin(node, 'DELETE', path)).status).toBe(404)
  })

  it('shows no password, token or key', async () => {
    await using _client = await connectAt(node, ANN)
    for (const path of ['nodes', 'clients', 'revocations']) {
      const text = JSON.stringify((await askAdmin(node, 'GET', path)).body)
      expect(text).not.toMatch(new RegExp(`her secret|${ADMIN_TOKEN}`))
    }
    const logs = JSON.stringify(node.logs())
    expect(logs).not.toMatch(new RegExp(`her secret|${ADMIN_TOKEN}`))
  })

  it('takes a new token when the file changes, and keeps the old token when the file holds none', async () => {
    const path = environment['BREAKWATER_ADMIN_TOKEN_FILE'] as string
    const next = 'quite-another-token-now'
    writeFileSync(path, 'short')
    await node.logged(
      ({ msg }) => msg === 'file changed: the new version is refused, the old one stays in use',
    )
    expect((await askAdmin(node, 'GET', 'nodes')).status).toBe(200)
    writeFileSync(path, `${next}\n`)
    await node.logged(({ msg }) => msg === 'file changed: the new version is in use')
    expect((await askAdmin(node, 'GET', 'nodes')).status).toBe(401)
    expect((await askAdmin(node, 'GET', 'nodes', { token: next })).status).toBe(200)
    expect(JSON.stringify(node.logs())).not.toMatch(/short|quite-another/)
  })
})

describe('the admin API of a node without a token file', () => {
  it('lets this machine read, by address or as localhost, and lets nobody change anything', async () => {
    await using node = await startNode({ listen })
    const ask = (method: string, path: string, host = 'localhost'): Promise<string> =>
      answerTo(node, `${method} /api/v1/${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    for (const host of ['localhost', `127.0.0.1:${node.adminPort}`, '[::1]:9464'])
      expect(await ask('GET', 'clients', host)).toMatch(/ 200 /)
    expect(await ask('GET', 'clients', 'rebound.example')).toMatch(/ 403 /)
    expect(await ask('DELETE', 'clients/c')).toMatch(/ 403 /)
    const { status, body } = await askAdmin(node, 'POST', 'revocations', {
      body: { clientId: 'c' },
    })
    expect([status, body?.['error']]).toEqual([
      403,
      'nothing can be changed without a token; set BREAKWATER_ADMIN_TOKEN_FILE',
    ])
  })
})

describe('the admin API of a cluster', () => {
  it('lists the nodes, and closes a client that is connected to another node', async () => {
    await using redis = await startRedis()
    const settings = { redisUrl: redis.url, redisPrefix: redis.prefix, listen }
    const environment = adminEnvironment()
    await using near = await startNode({ ...settings, environment })
    await using far = await startNode({ ...settings, environment })
    const clientId = unique('c')
    await using client = await connectAt(far, { clientId }, { timeoutMs: 20_000 })
    await using bystander = await connectAt(far, {}, { timeoutMs: 20_000 })
    await expect
      .poll(async () => (await askAdmin(near, 'GET', 'nodes')).body?.['nodes'], PATIENCE)
      .toEqual([
        {
          id: near.id,
          version: expect.any(String),
          since: expect.any(String),
          connections: 0,
          answering: true,
        },
        {
          id: far.id,
          version: expect.any(String),
          since: expect.any(String),
          connections: 2,
          answering: false,
        },
      ])
    expect((await askAdmin(near, 'GET', `clients/${clientId}`)).status).toBe(404)
    expect((await askAdmin(near, 'DELETE', `clients/${clientId}`)).status).toBe(202)
    await client.untilClosed()
    await bystander.expectSilence()
    expect(far.closeReasons()).toEqual(['kicked'])
    await expect
      .poll(async () => (await askAdmin(near, 'DELETE', `clients/${clientId}`)).status, PATIENCE)
      .toBe(404)
  })
})
