/** Access rules as clients meet them: publish, subscribe, wills, resume, and rules that change. */
import { expect, test } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { connectAt } from '../cluster/cluster.ts'
import { WireClient } from '../kit/wire-client.ts'
import { startRuled } from './ruled.ts'

const RULES = `
rules:
  - { deny: [publish, subscribe], topics: ['open/secret/#'] }
  - { allow: [publish, subscribe], topics: ['open/#', 'own/\${clientid}/#'] }
`

test('a denied publish is acknowledged and counted, and reaches nobody', async () => {
  await using ruled = await startRuled(RULES)
  await using watcher = await connectAt(ruled.node, { clientId: 'w' })
  await watcher.subscribe(['open/news', 1])
  await using client = await connectAt(ruled.node, { clientId: 'c' })
  for (const qos of [0, 1, 2] as const)
    for (const topic of ['open/secret/x', 'own/w/x', 'elsewhere'])
      await client.publish({ topic, payload: 'x', qos, retain: true })
  await client.publish({ topic: 'own/c/x', payload: 'mine', qos: 1 })
  await client.publish({ topic: 'open/news', payload: 'last', qos: 1 })
  expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('last') }])
  expect(ruled.node.logs().filter(({ topic }) => topic === 'elsewhere').length).toBeGreaterThan(0)
})

test('with BREAKWATER_PUBLISH_DENIED=close a denied publish ends the connection', async () => {
  await using ruled = await startRuled(RULES, {
    environment: { BREAKWATER_PUBLISH_DENIED: 'close' },
  })
  for (const qos of [0, 1] as const) {
    await using client = await connectAt(ruled.node)
    await client.publish({ topic: 'elsewhere', payload: 'x', qos }).catch(() => undefined)
    await client.untilClosed()
  }
  expect(ruled.node.closeReasons()).toEqual(['publish-denied', 'publish-denied'])
})

test('each filter of a SUBSCRIBE is granted or refused by itself; neither a wildcard nor a group circumvents a deny rule', async () => {
  await using ruled = await startRuled(RULES)
  await using client = await connectAt(ruled.node, { clientId: 'c', clean: false })
  const asked = [
    'open/a',
    'open/#',
    '#',
    '+/secret/x',
    'own/c/#',
    'own/+/x',
    '$share/g/open/b',
    '$share/g/#',
    'open/secret/x',
  ]
  const codes: number[] = []
  for (const filter of asked) codes.push(...(await client.subscribe([filter, 1])))
  expect(codes.map((code) => code === 1)).toEqual([
    true,
    false,
    false,
    false,
    true,
    false,
    true,
    false,
    false,
  ])
})

test('a group that the rules reserve is closed to other clients, also after a resume', async () => {
  const groups = (user: string): string => `
rules:
  - { users: [${user}], allow: [subscribe], topics: ['$share/workers/jobs/#'] }
  - { deny: [subscribe], topics: ['$share/workers/#'] }
  - { allow: [publish, subscribe], topics: ['jobs/#'] }
`
  await using ruled = await startRuled(groups('ann'), { users: { ann: 'a', bob: 'b' } })
  const ann = { username: 'ann', password: 'a', clientId: 'ann', clean: false }
  const bob = { username: 'bob', password: 'b' }
  await using member = await connectAt(ruled.node, ann)
  expect(await member.subscribe(['$share/workers/jobs/#', 1])).toEqual([1])
  await using other = await connectAt(ruled.node, bob)
  for (const filter of ['$share/workers/jobs/#', '$share/workers/jobs/a', '$share/workers/#'])
    expect(await other.subscribe([filter, 1])).toEqual([0x80])
  expect(await other.subscribe(['$share/own/jobs/#', 1], ['jobs/a', 1])).toEqual([1, 1])
  await member.disconnect()
  await ruled.change(groups('bob'))
  await using back = await connectAt(ruled.node, ann)
  expect(await other.subscribe(['$share/workers/jobs/#', 1])).toEqual([1])
  await other.publish({ topic: 'jobs/x', payload: '1', qos: 1 })
  // One in each of its groups.
  expect(await other.receive(2)).toHaveLength(2)
  await back.expectSilence()
})

test('a CONNECT is refused when its will may not be published', async () => {
  await using ruled = await startRuled(RULES)
  for (const [topic, returnCode] of [
    ['open/last', 0],
    ['open/secret/last', 5],
  ] as const) {
    await using client = await WireClient.open(ruled.node)
    const will = { topic, payload: 'gone', qos: 1 as const, retain: true }
    expect(await client.connect({ clientId: unique('c'), will })).toMatchObject({ returnCode })
  }
})

test('new rules apply to connected clients, and an invalid rules file changes nothing', async () => {
  await using ruled = await startRuled(RULES)
  await using publisher = await connectAt(ruled.node, { clientId: 'p' })
  await using subscriber = await connectAt(ruled.node, { clientId: 's' })
  await subscriber.subscribe(['open/a', 1])
  await using other = await connectAt(ruled.node, { clientId: 'o' })
  await other.subscribe(['own/o/x', 1])
  await ruled.change('rules: nonsense')
  await publisher.publish({ topic: 'open/a', payload: 'still', qos: 1 })
  expect(await subscriber.receive(1)).toHaveLength(1)
  await ruled.change(`rules: [{ allow: [publish, subscribe], topics: ['own/\${clientid}/#'] }]`)
  await subscriber.untilClosed()
  expect(ruled.node.closeReasons()).toEqual(['access-revoked'])
  await publisher.publish({ topic: 'open/a', payload: 'denied', qos: 1 })
  await publisher.publish({ topic: 'own/p/x', payload: 'fine', qos: 1 })
  expect(other.isClosed).toBe(false)
})

test('a session that resumes loses the filters and queued messages that are denied by then', async () => {
  await using ruled = await startRuled(RULES)
  await using client = await connectAt(ruled.node, { clientId: 'c', clean: false })
  await client.subscribe(['open/a', 1])
  await client.subscribe(['own/c/x', 1])
  await client.disconnect()
  await using publisher = await connectAt(ruled.node, { clientId: 'p' })
  await publisher.publish({ topic: 'open/a', payload: 'queued', qos: 1 })
  await ruled.change(`
rules:
  - { allow: [publish], topics: ['#'] }
  - { allow: [subscribe], topics: ['own/\${clientid}/#'] }
`)
  await using resumed = await connectAt(ruled.node, { clientId: 'c', clean: false })
  await publisher.publish({ topic: 'open/a', payload: 'new', qos: 1 })
  await publisher.publish({ topic: 'own/c/x', payload: 'mine', qos: 1 })
  expect(await resumed.receive(1)).toMatchObject([{ topic: 'own/c/x' }])
  await resumed.expectSilence()
})
