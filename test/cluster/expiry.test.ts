/** A session expires while its client comes back. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { encodeSubscribe, type ConnectFields } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

const LIMITS = { nodeLeaseMs: 60_000, viewLeaseMs: 20_000 }
const TIMEOUT_MS = 60_000

it(
  'a message for a new session is queued while the node that it is published at still expires the old session of that client',
  { timeout: TIMEOUT_MS },
  async () => {
    await using redis = await startRedis()
    await using proxy = await startRedisProxy(redis.url)
    const settings = { redisPrefix: redis.prefix, limits: LIMITS }
    const environment = { BREAKWATER_SESSION_EXPIRY: '2s' }
    await using a = await startNode({ ...settings, redisUrl: proxy.url, environment })
    await using b = await startNode({ ...settings, redisUrl: redis.url })
    await using stack = new AsyncDisposableStack()
    const admin = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
    const keys = keysWith(redis.prefix)
    const [topic, payload, clientId] = [unique('t'), unique('p'), unique('back')]
    const session = { clientId, clean: false }
    const leave = async (fields: ConnectFields): Promise<void> => {
      await using leaving = await connectAt(b, fields)
      await leaving.subscribe([topic, 1])
      await leaving.disconnect()
    }
    const expired = (): number => a.logs().filter(({ msg }) => msg === 'sessions expired').length
    // From here on Redis knows the script: an answer that is kept is that of a call which was executed.
    await leave({ clientId: unique('first'), clean: false })
    await expect.poll(expired).toBe(1)
    await leave(session)
    const ending = proxy.silenceAfter(keys.session(clientId))
    await ending.silenced
    await expect.poll(() => admin.exists(keys.session(clientId))).toBe(0)
    const head = async (): Promise<number> => Number(await admin.get(keys.clusterHead))
    const before = await head()
    await using subscriber = await connectAt(b, session)
    subscriber.send(encodeSubscribe(1, [[topic, 1]]))
    await expect.poll(head).toBe(before + 1)
    // What the node says of those that have expired it hears itself when everything is over.
    const reading = proxy.silenceAfter(`0-${before + 1}`)
    ending.release()
    await subscriber.take('suback')
    await expect.poll(expired).toBe(2)

    await using here = await connectAt(a)
    await here.publish({ topic, payload, qos: 1 })
    reading.release()
    expect(await subscriber.receive(1)).toMatchObject([{ topic, payload: Buffer.from(payload) }])
  },
)
