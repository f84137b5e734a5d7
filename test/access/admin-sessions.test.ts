/** An operator ends a stored session with all its data, at any node, also while its client is connected. */
import { describe, expect, it } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { adminEnvironment, askAdmin, type AdminAnswer } from '../kit/admin-client.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'

const listen = ['mqtt://127.0.0.1:0']
const environment = adminEnvironment()
const users = { ann: 'her secret', ben: 'his secret' }
const ANN = { username: 'ann', password: users.ann }
const BEN = { username: 'ben', password: users.ben }

interface Pair extends AsyncDisposable {
  readonly near: TestNode
  readonly far: TestNode
  readonly redis: TestRedis
}

async function startPair(): Promise<Pair> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis())
  const settings = {
    redisUrl: redis.url,
    redisPrefix: redis.prefix,
    listen,
    environment,
    users,
    allowAnonymous: true,
  }
  const near = stack.use(await startNode(settings))
  const far = stack.use(await startNode(settings))
  const resources = stack.move()
  return { near, far, redis, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

function end(node: TestNode, clientId: string): Promise<AdminAnswer> {
  return askAdmin(node, 'DELETE', `sessions?clientId=${encodeURIComponent(clientId)}`)
}

function facts(node: TestNode, clientId: string): Promise<AdminAnswer> {
  return askAdmin(node, 'GET', `sessions?clientId=${encodeURIComponent(clientId)}`)
}

describe('a stored session that an operator ends', () => {
  it('is deleted with its filters and its queue, and its client id is free for another user', async () => {
    await using pair = await startPair()
    const { near, far } = pair
    const clientId = unique('c')
    const topic = unique('t')
    {
      await using owner = await connectAt(far, { clientId, ...ANN, clean: false })
      await owner.subscribe([topic, 1])
      await owner.disconnect()
    }
    await using publisher = await connectAt(near)
    await publisher.publish({ topic, payload: 'kept', qos: 1 })
    const shown = await facts(near, clientId)
    expect(shown).toMatchObject({
      status: 200,
      body: {
        clientId,
        username: 'ann',
        node: null,
        subscriptions: 1,
        queue: { messages: 1, bytes: expect.any(Number) },
      },
    })
    expect((await end(near, clientId)).status).toBe(204)
    expect(near.logs()).toContainEqual(
      expect.objectContaining({ msg: 'session ended by the admin API', id: clientId }),
    )
    expect((await end(near, clientId)).status).toBe(404)
    expect((await facts(far, clientId)).status).toBe(404)
    await publisher.publish({ topic, payload: 'to nobody', qos: 1 })
    await using other = await connectAt(far, { clientId, ...BEN, clean: false })
    await other.expectSilence()
    expect(await facts(near, clientId)).toMatchObject({
      status: 200,
      body: { username: 'ben', node: far.id, subscriptions: 0, queue: { messages: 0, bytes: 0 } },
    })
  })

  it.each(['near', 'far'] as const)(
    'closes its client at the %s node with the reason kicked, and publishes the will',
    async (where) => {
      await using pair = await startPair()
      const clientId = unique('c')
      const topic = unique('will')
      await using witness = await connectAt(pair.near)
      await witness.subscribe([topic, 1])
      const will = { topic, payload: 'gone', qos: 1 } as const
      const fields = { clientId, ...ANN, clean: false, will }
      await using client = await connectAt(pair[where], fields, { timeoutMs: 20_000 })
      await client.subscribe(['a/#', 1])
      expect((await facts(pair.near, clientId)).body).toMatchObject({ node: pair[where].id })
      expect((await end(pair.near, clientId)).status).toBe(204)
      await client.untilClosed()
      expect(pair[where].closeReasons()).toEqual(['kicked'])
      expect((await witness.receive(1)).map(({ payload }) => payload.toString())).toEqual(['gone'])
      await using next = await connectAt(pair.far, { clientId, ...BEN, clean: false })
      await next.expectSilence()
    },
  )

  it('is ended once when several requests ask at once; a clean client has no stored session to end', async () => {
    await using node = await startNode({ listen, environment })
    const clientId = unique('c')
    await using client = await connectAt(node, { clientId, clean: false })
    await client.disconnect()
    const answers = await Promise.all([1, 2, 3].map(() => end(node, clientId)))
    for (const { status } of answers) expect([204, 404]).toContain(status)
    expect(answers.some(({ status }) => status === 204)).toBe(true)
    await using clean = await connectAt(node, { clientId })
    expect((await end(node, clientId)).status).toBe(404)
    await clean.expectSilence()
  })

  it('is ended by a request body when its client id does not fit into a path', async () => {
    await using node = await startNode({ listen, environment })
    await using client = await connectAt(node, { clientId: '..', clean: false })
    const body = { clientId: '..' }
    expect(await askAdmin(node, 'POST', 'sessions/lookup', { body })).toMatchObject({
      status: 200,
      body: { node: expect.any(String) },
    })
    expect((await askAdmin(node, 'DELETE', 'sessions', { body })).status).toBe(204)
    await client.untilClosed()
    expect((await askAdmin(node, 'DELETE', 'sessions', { body })).status).toBe(404)
  })
})
