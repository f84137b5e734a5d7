/** A node is killed after it has put a message into queues, and before it has notified other nodes. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { spawnNode, startNode } from '../kit/node.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { encodePublish, encodePubrel } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

const LIMITS = { nodeLeaseMs: 1_500, viewLeaseMs: 500 }

it.for([
  { who: 'a session', filterOf: (topic: string) => topic },
  { who: 'a group', filterOf: (topic: string) => `$share/g/${topic}` },
])(
  '$who at another node gets a message whose node was killed after queuing it and before notifying other nodes',
  async ({ filterOf }) => {
    await using redis = await startRedis()
    await using proxy = await startRedisProxy(redis.url)
    const settings = { redisPrefix: redis.prefix, limits: LIMITS }
    await using b = await startNode({ ...settings, redisUrl: redis.url })
    await using doomed = await spawnNode({ ...settings, redisUrl: proxy.url })
    const [topic, payload, clientId] = [unique('t'), unique('p'), unique('pub')]
    await using subscriber = await connectAt(b, { clean: false })
    await subscriber.subscribe([filterOf(topic), 1])
    await using publisher = await connectAt(doomed, { clientId, clean: false })
    publisher.send(encodePublish({ topic, payload, qos: 2, packetId: 1 }))
    await publisher.take('pubrec')

    const { silenced } = proxy.silenceAfter(payload)
    publisher.send(encodePubrel(1))
    await silenced
    await doomed.kill('SIGKILL')
    // This is the last message: no later message would make a node read the queue.
    await using again = await connectAt(b, { clientId, clean: false })
    again.send(encodePubrel(1))
    await again.take('pubcomp')

    expect(await subscriber.receive(1)).toMatchObject([{ topic, payload: Buffer.from(payload) }])
  },
)
