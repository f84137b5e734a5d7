/** The admin API accepts every client id and user name of MQTT, and reports its own errors as such. */
import { get } from 'node:http'
import { startAdminServer } from '@breakwater/metrics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAdminToken } from '../../packages/broker/src/admin/admin-access.ts'
import { AdminApi } from '../../packages/broker/src/admin/admin-api.ts'
import { connectAt } from '../cluster/cluster.ts'
import { ADMIN_TOKEN, adminEnvironment, askAdmin } from '../kit/admin-client.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'

const listen = ['mqtt://127.0.0.1:0']
const LONGEST = 'é'.repeat(32_767) + 'x'
const PASSWORD = 'open sesame'
/** Names that an API could fail to address. */
const NAMES = [
  '.',
  '..',
  '/',
  '//',
  '../nodes',
  '%',
  '%2e',
  'a?b=c&d',
  '#',
  '+',
  ' ',
  'a b+c',
  'lookup',
  '€',
  LONGEST,
]
/** What fits into a request line. */
const short = NAMES.filter((name) => name !== LONGEST)

describe('the admin API', () => {
  let node: TestNode
  beforeAll(async () => {
    node = await startNode({
      listen,
      environment: adminEnvironment(),
      users: { [LONGEST]: PASSWORD, '..': PASSWORD },
      allowAnonymous: true,
      limits: { clientIdBytesMax: 65_535, usernameBytesMax: 65_535, connectBytesMax: 262_144 },
    })
  })
  afterAll(() => node[Symbol.asyncDispose]())

  it.each(short)(
    'finds and closes the client id %j given as a query parameter',
    async (clientId) => {
      await using client = await connectAt(node, { clientId })
      const path = `clients?clientId=${encodeURIComponent(clientId)}`
      expect(await askAdmin(node, 'GET', path)).toMatchObject({ status: 200, body: { clientId } })
      expect((await askAdmin(node, 'DELETE', path)).status).toBe(204)
      await client.untilClosed()
      expect((await askAdmin(node, 'GET', path)).status).toBe(404)
    },
  )

  it.each([
    ['of 65,535 bytes', LONGEST],
    ['of two dots', '..'],
  ])('finds, closes and revokes a client id %s given in the body', async (_which, clientId) => {
    await using client = await connectAt(node, { clientId, username: clientId, password: PASSWORD })
    const body = { clientId }
    expect(await askAdmin(node, 'POST', 'clients/lookup', { body })).toMatchObject({
      status: 200,
      body,
    })
    expect((await askAdmin(node, 'DELETE', 'clients', { body })).status).toBe(204)
    await client.untilClosed()
    expect((await askAdmin(node, 'POST', 'clients/lookup', { body })).status).toBe(404)
    for (const key of ['clientId', 'username']) {
      const added = await askAdmin(node, 'POST', 'revocations', { body: { [key]: clientId } })
      expect(added.status).toBe(201)
      const id = `${key}:${clientId}`
      await using refused = await WireClient.open(node)
      const connack = await refused.connect({
        clientId: key === 'clientId' ? clientId : 'other',
        username: clientId,
        password: PASSWORD,
      })
      expect(connack).toMatchObject({ returnCode: 5 })
      await refused.untilClosed()
      expect((await askAdmin(node, 'DELETE', 'revocations', { body: { id } })).status).toBe(204)
    }
    await using _back = await connectAt(node, { clientId, username: clientId, password: PASSWORD })
  })

  it('refuses a client id that is given twice or beside another field, and closes nobody', async () => {
    await using client = await connectAt(node, { clientId: 'c' })
    for (const [path, body] of [
      ['clients?clientId=c', { clientId: 'c' }],
      ['clients', { clientId: 'c', force: true }],
      ['clients', { clientId: 1 }],
      ['clients', { clientId: `${LONGEST}x` }],
    ] as const)
      expect((await askAdmin(node, 'DELETE', path, { body })).status).toBe(400)
    expect((await askAdmin(node, 'DELETE', 'clients/c', { body: {} })).status).toBe(400)
    await client.expectSilence()
  })

  it('answers 431 to a client id that is too long for a request line', async () => {
    const path = `clients?clientId=${encodeURIComponent(LONGEST)}`
    expect(await statusOf(node.adminPort, `/api/v1/${path}`)).toBe(431)
  })
})

it('the admin API answers HEAD as it answers GET, without the body', async () => {
  await using node = await startNode({ listen, environment: adminEnvironment() })
  const whole = await askAdmin(node, 'GET', 'clients')
  const head = await askAdmin(node, 'HEAD', 'clients')
  expect([head.status, head.body]).toEqual([200, undefined])
  expect(head.headers.get('content-length')).toBe(whole.headers.get('content-length'))
})

it('the admin API does not resolve dots in a path', async () => {
  await using node = await startNode({ listen, environment: adminEnvironment() })
  await using _client = await connectAt(node, { clientId: '..' })
  const shown = await statusOf(node.adminPort, '/api/v1/clients/..')
  expect(shown).toBe(200)
  expect(await statusOf(node.adminPort, '/api/v1/clients/.')).toBe(404)
})

it.each(['GET', 'HEAD', 'POST', 'DELETE'])(
  'an unexpected error during a %s is answered 500 and logged, never answered 408 or 503',
  async (method) => {
    const defects: unknown[] = []
    const broken = (): never => {
      throw new TypeError('a mistake')
    }
    const resource = { list: broken, add: broken, remove: broken } as never
    const api = new AdminApi({
      token: () => parseAdminToken(ADMIN_TOKEN, 'token'),
      nodes: async () => [],
      clients: resource,
      sessions: resource,
      retained: resource,
      revocations: resource,
      onAnswer: () => undefined,
      onFault: () => undefined,
      onDefect: (error) => defects.push(error),
    })
    const check = () => ({ ok: true, detail: 'fine' })
    await using server = await startAdminServer({
      host: '127.0.0.1',
      port: 0,
      livez: check,
      readyz: check,
      startupz: check,
      render: broken,
      routes: [api],
    })
    const answer = await askAdmin({ adminPort: server.port }, method, 'revocations')
    expect(answer.status).toBe(500)
    expect(defects).toEqual([new TypeError('a mistake')])
  },
)

/** As it is written: `fetch` would take dots for steps. */
function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
    get({ port, path, headers, host: '127.0.0.1' }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}
