/** Retained messages that an operator clears, by a filter of their topics. */
import { expect, test } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { adminEnvironment, askAdmin } from '../kit/admin-client.ts'
import { startNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { startRuled } from './ruled.ts'

const MANY = 250

test('a retained message stays after its publisher lost the right to publish it, until an operator clears it', async () => {
  const rules = (deny: string): string => `
rules:
  - { deny: [publish], topics: ['${deny}/#'] }
  - { allow: [publish, subscribe], topics: ['#'] }
`
  await using ruled = await startRuled(rules('nowhere'), { environment: adminEnvironment() })
  await using publisher = await connectAt(ruled.node)
  await publisher.publish({ topic: 'old/a', payload: 'stays', qos: 1, retain: true })
  await ruled.change(rules('old'))
  await using before = await connectAt(ruled.node)
  await before.subscribe(['old/#', 1])
  expect(await before.receive(1)).toMatchObject([{ topic: 'old/a', retain: true }])
  const cleared = await askAdmin(ruled.node, 'DELETE', 'retained?filter=old%2F%23')
  expect(cleared).toMatchObject({ status: 200, body: { cleared: 1, more: false } })
  // As after any clearing, subscribers are notified.
  expect(await before.receive(1)).toMatchObject([{ topic: 'old/a', payload: Buffer.alloc(0) }])
  await using after = await connectAt(ruled.node)
  await after.subscribe(['old/#', 1])
  await after.expectSilence()
})

test('the admin API clears the retained messages of a filter in the whole cluster, and no others', async () => {
  await using redis = await startRedis()
  const options = {
    redisUrl: redis.url,
    redisPrefix: redis.prefix,
    environment: adminEnvironment(),
  }
  await using here = await startNode(options)
  await using there = await startNode(options)
  await using publisher = await connectAt(there)
  const publish = (topic: string): Promise<unknown> =>
    publisher.publish({ topic, payload: 'x', qos: 1, retain: true })
  for (let index = 0; index < MANY; index += 1) await publish(`gone/${index}`)
  for (const topic of ['kept/1', 'gone2', '$own/gone']) await publish(topic)
  const wrong = await askAdmin(here, 'DELETE', 'retained', { body: { filter: 'gone/#/x' } })
  expect(wrong.status).toBe(400)
  expect((await askAdmin(here, 'DELETE', 'retained')).status).toBe(400)
  expect((await askAdmin(here, 'DELETE', 'retained?filter=%24share%2Fg%2Fa')).status).toBe(400)
  const { body } = await askAdmin(here, 'DELETE', 'retained', { body: { filter: 'gone/+' } })
  expect(body).toEqual({ cleared: MANY, more: false })
  for (const node of [here, there]) {
    await using subscriber = await connectAt(node)
    await subscriber.subscribe(['#', 1], ['$own/#', 1])
    const topics = (await subscriber.receive(3)).map(({ topic }) => topic)
    expect(topics.toSorted()).toEqual(['$own/gone', 'gone2', 'kept/1'])
    await subscriber.expectSilence()
  }
  const again = await askAdmin(there, 'DELETE', 'retained?filter=gone%2F%2B')
  expect(again.body).toEqual({ cleared: 0, more: false })
})
