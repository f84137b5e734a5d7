/** A Redis that is out of memory (`maxmemory` under `noeviction`): what goes on, and what waits until there is room. */
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { connectAt } from './cluster.ts'

const MESSAGES = 20

it('a connected session empties its queue while Redis is out of memory; nothing is acknowledged and no client comes in until there is room', async () => {
  await using redis = await startRedisProcess([])
  await using stack = new AsyncDisposableStack()
  const operator = stack.adopt(new Redis(redis.url), (client) => client.disconnect())
  const redisPrefix = unique('memory:')
  const limits = { storeTimeoutMs: 1_000 }
  await using node = await startNode({ redisUrl: redis.url, redisPrefix, limits })
  const topic = unique('t')
  await using away = await connectAt(node, { clientId: 'away', clean: false })
  await away.subscribe([topic, 1])
  await away.drop()
  await using here = await connectAt(node, { clientId: 'here', clean: false })
  await here.subscribe([topic, 1])
  await using publisher = await connectAt(node, { clientId: 'publisher' })
  for (let sent = 0; sent < MESSAGES; sent += 1)
    await publisher.publish({ topic, payload: 'x'.repeat(1_000), qos: 1 })

  const used = Number(/used_memory:(\d+)/.exec(await operator.info('memory'))?.[1])
  await operator.config('SET', 'maxmemory', String(Math.floor(used / 2)))
  expect(await here.receive(MESSAGES)).toHaveLength(MESSAGES)
  const queue = keysWith(redisPrefix).queue('here')
  await expect.poll(() => operator.xlen(queue)).toBe(0)
  await here.expectSilence()
  for (const clean of [true, false]) {
    await using refused = await WireClient.open(node)
    expect(await refused.connect({ clientId: 'away', clean })).toMatchObject({ returnCode: 3 })
  }
  publisher.send(encodePublish({ topic, payload: 'x', qos: 1, packetId: 100 }))
  await publisher.expectClosed()
  const line = await node.logged(
    ({ msg, clientId }) => msg === 'connection closed' && clientId === 'publisher',
  )
  expect(line['reason']).toBe('store-unavailable')

  await operator.config('SET', 'maxmemory', '0')
  await using back = await connectAt(node, { clientId: 'away', clean: false })
  expect(await back.receive(MESSAGES)).toHaveLength(MESSAGES)
})
