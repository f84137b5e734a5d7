/** Attempts to circumvent access rules, judged by the messages that arrive, not only by return codes. */
import { expect, test } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { startRuled } from './ruled.ts'

const RULES = `
rules:
  - { deny: [publish, subscribe], topics: ['a/secret', 'deep/secret/#'] }
  - { allow: [publish, subscribe], topics: ['#'], users: [admin] }
  - { allow: [publish, subscribe], topics: ['a/+', 'deep/#', 'b/+'] }
`
/** Lets everybody do what a test needs before the rules are as above. */
const OPEN = `rules: [{ allow: [publish, subscribe], topics: ['#'] }]`

const REACHING = [
  '#',
  '+/#',
  '+/+',
  'a/#',
  'a/+',
  '+/secret',
  'a/secret',
  'a/secret/#',
  'deep/#',
  'deep/+',
  'deep/+/x',
  'deep/secret',
  '+/secret/+',
  '$share/g/#',
  '$share/g/+/+',
  '$share/g/a/secret',
  '$share/g/deep/+/x',
] as const

test('a filter that reaches a denied topic is refused, and no message of that topic arrives', async () => {
  await using ruled = await startRuled(OPEN)
  await using insider = await connectAt(ruled.node, { clientId: 'insider' })
  for (const topic of ['a/secret', 'deep/secret/x'])
    await insider.publish({ topic, payload: 'retained', qos: 1, retain: true })
  await ruled.change(RULES)
  for (const clean of [true, false]) {
    await using client = await connectAt(ruled.node, { clientId: `thief-${clean}`, clean })
    for (const filter of REACHING)
      expect(await client.subscribe([filter, 1]), filter).toEqual([0x80])
    expect(await client.subscribe(...REACHING.map((filter) => [filter, 1] as const))).toEqual(
      REACHING.map(() => 0x80),
    )
    // What is allowed is, so the silence below says something.
    expect(await client.subscribe(['a/open', 1], ['b/+', 1])).toEqual([1, 1])
    for (const topic of ['a/secret', 'deep/secret/x', 'b/x'])
      await insider.publish({ topic, payload: topic, qos: 1 })
    expect(await client.receive(1)).toMatchObject([{ topic: 'b/x' }])
    await client.expectSilence()
  }
})

test('a filter that is refused in a SUBSCRIBE with granted ones is not stored with the session', async () => {
  await using redis = await startRedis()
  const options = { redisUrl: redis.url, redisPrefix: redis.prefix }
  await using ruled = await startRuled(RULES, options)
  await using client = await connectAt(ruled.node, { clientId: 'mixed', clean: false })
  expect(
    await client.subscribe(['b/x', 1], ['a/secret', 1], ['$share/g/deep/#', 1], ['b/y', 1]),
  ).toEqual([1, 0x80, 0x80, 1])
  await client.disconnect()
  // From here on the rules would allow it: only what was stored decides.
  await ruled.change(OPEN)
  await using publisher = await connectAt(ruled.node, { clientId: 'publisher' })
  for (const topic of ['a/secret', 'deep/x', 'b/x', 'b/y'])
    await publisher.publish({ topic, payload: 'offline', qos: 1 })
  await using resumed = await connectAt(ruled.node, { clientId: 'mixed', clean: false })
  for (const topic of ['a/secret', 'deep/x', 'b/x'])
    await publisher.publish({ topic, payload: 'live', qos: 1 })
  const topics = (await resumed.receive(3)).map(({ topic }) => topic)
  expect(topics).toEqual(['b/x', 'b/y', 'b/x'])
  await resumed.expectSilence()
})

test.each([
  ['a/open', 'a/+', ['a/open', 'a/secret']],
  ['deep/x', 'deep/#', ['deep/x', 'deep/secret/x']],
])(
  'messages that a filter queued are not delivered when the filter is denied at resume (%s by %s)',
  async (allowed, wide, topics) => {
    await using ruled = await startRuled(OPEN)
    const asleep = { clientId: 'sleeper', clean: false }
    await using client = await connectAt(ruled.node, asleep)
    // One that stays allowed, and one that reaches further than it may.
    expect(await client.subscribe([allowed, 1], [wide, 1])).toEqual([1, 1])
    await client.disconnect()
    await using publisher = await connectAt(ruled.node, { clientId: 'publisher' })
    for (const topic of topics) await publisher.publish({ topic, payload: 'queued', qos: 1 })
    await ruled.change(RULES)
    await using resumed = await connectAt(ruled.node, asleep)
    expect(await resumed.receive(1)).toMatchObject([
      { topic: allowed, payload: Buffer.from('queued') },
    ])
    await ruled.change(OPEN)
    // Neither is the filter there again when it would be allowed again.
    for (const topic of topics) await publisher.publish({ topic, payload: 'live', qos: 1 })
    expect(await resumed.receive(1)).toMatchObject([
      { topic: allowed, payload: Buffer.from('live') },
    ])
    await resumed.expectSilence()
  },
)

test('a will that new rules deny is not published, and the node closes its client', async () => {
  await using ruled = await startRuled(OPEN)
  await using watcher = await connectAt(ruled.node, { clientId: 'watcher' })
  await watcher.subscribe(['a/secret', 1], ['b/last', 1])
  const will = (topic: string) => ({ topic, payload: 'gone', qos: 1 as const })
  await using denied = await connectAt(ruled.node, { clientId: 'd', will: will('a/secret') })
  await using allowed = await connectAt(ruled.node, { clientId: 'e', will: will('b/last') })
  await ruled.change(`
rules:
  - { allow: [subscribe], topics: ['#'] }
  - { allow: [publish], topics: ['b/+'] }
`)
  await denied.untilClosed()
  expect(ruled.node.closeReasons()).toEqual(['access-revoked'])
  await allowed.drop()
  expect(await watcher.receive(1)).toMatchObject([{ topic: 'b/last' }])
  await watcher.expectSilence()
})

test('the rules in force at a replay decide which retained messages are replayed', async () => {
  await using ruled = await startRuled(OPEN)
  await using publisher = await connectAt(ruled.node, { clientId: 'publisher' })
  for (const topic of ['b/x', 'a/secret'])
    await publisher.publish({ topic, payload: 'retained', qos: 1, retain: true })
  await using client = await connectAt(ruled.node, { clientId: 'client' })
  expect(await client.subscribe(['a/secret', 1])).toEqual([1])
  expect(await client.receive(1)).toMatchObject([{ topic: 'a/secret', retain: true }])
  await client.unsubscribe('a/secret')
  await ruled.change(RULES)
  expect(await client.subscribe(['a/secret', 1], ['#', 1], ['b/x', 1])).toEqual([0x80, 0x80, 1])
  expect(await client.receive(1)).toMatchObject([{ topic: 'b/x', retain: true }])
  await client.expectSilence()
  // A client that may not publish cannot clear the retained message either.
  await client.publish({ topic: 'a/secret', payload: '', qos: 1, retain: true })
  await ruled.change(OPEN)
  expect(await client.subscribe(['a/secret', 1])).toEqual([1])
  expect(await client.receive(1)).toMatchObject([{ topic: 'a/secret', retain: true }])
})

test('a member of a group gets no more messages of the group after its filter has been denied', async () => {
  await using ruled = await startRuled(OPEN)
  const asleep = { clientId: 'member', clean: false }
  await using member = await connectAt(ruled.node, asleep)
  expect(await member.subscribe(['$share/g/a/secret', 1], ['b/x', 1])).toEqual([1, 1])
  await member.disconnect()
  await using publisher = await connectAt(ruled.node, { clientId: 'publisher' })
  await publisher.publish({ topic: 'a/secret', payload: 'for the group', qos: 1 })
  await ruled.change(RULES)
  await using resumed = await connectAt(ruled.node, asleep)
  await publisher.publish({ topic: 'b/x', payload: 'x', qos: 1 })
  expect(await resumed.receive(1)).toMatchObject([{ topic: 'b/x' }])
  await resumed.expectSilence()
})
