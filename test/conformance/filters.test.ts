import { expect, it } from 'vitest'
import { encodeSubscribe } from '../kit/wire-encoder.ts'
import { conformance, expectNothingDelivered, unique } from './suite.ts'

/**
 * Filter, topics that match, topics that do not. `T` stands for the unique first level.
 */
const MATCHES: readonly (readonly [string, string, readonly string[], readonly string[]])[] = [
  ['MQTT-4.7.1-2', 'T/#', ['T', 'T/', 'T/a', 'T/a/b/c', 'T//x'], ['Tx', '/T', 'Tx/a']],
  ['MQTT-4.7.1-2', 'T/a/#', ['T/a', 'T/a/', 'T/a/b'], ['T', 'T/ab', 'T/b']],
  ['MQTT-4.7.1-3', 'T/+', ['T/a', 'T/', 'T/x y'], ['T', 'T/a/b', 'T//']],
  ['MQTT-4.7.1-3', 'T/+/b', ['T/a/b', 'T//b'], ['T/b', 'T/a/b/', 'T/a/c', 'T/a/a/b']],
  ['MQTT-4.7.1-3', '+/T', ['/T', 'x/T'], ['T', 'x/T/', 'x/x/T']],
  ['MQTT-4.7.1-3', '+/T/+', ['/T/', 'a/T/b'], ['T', 'a/T', '/T/a/']],
  ['MQTT-4.7.1-3', 'T/+/+/#', ['T/a/b', 'T///', 'T/a/b/c/d'], ['T/a', 'T']],
  ['MQTT-4.7.1-3', '+/+/T', ['//T', 'a/b/T'], ['/T', 'a/T']],
  ['MQTT-4.7.3-4', 'T/a', ['T/a'], ['T/A', 'T/a/', '/T/a', 'T/a ', 'T//a']],
  ['MQTT-4.7.3-4', '/T', ['/T'], ['T', '//T', '/T/']],
  ['MQTT-4.7.3-4', 'T/', ['T/'], ['T', 'T//', '/T/']],
  ['MQTT-4.7.3-4', 'T//x', ['T//x'], ['T/x', 'T///x', 'T/a/x']],
  ['MQTT-4.7.3-4', 'T/é', ['T/é'], ['T/e\u0301', 'T/É']],
  ['MQTT-4.7.3-4', 'T/dev[1]', ['T/dev[1]'], ['T/dev1', 'T/dev']],
  ['MQTT-4.7.3-4', 'T/dev[1]/+', ['T/dev[1]/x'], ['T/dev1/x']],
  ['MQTT-4.7.3-4', 'T/*', ['T/*'], ['T/a', 'T/']],
  ['MQTT-4.7.3-4', 'T/?/+', ['T/?/x'], ['T/a/x']],
  ['MQTT-4.7.3-4', 'T/back\\slash/+', ['T/back\\slash/x'], ['T/backslash/x']],
  ['MQTT-4.7.3-4', 'T/.*/#', ['T/.*/x'], ['T/ab/x']],
  ['MQTT-4.7.3-4', 'T/a b/ c', ['T/a b/ c'], ['T/ab/c', 'T/a b/c']],
]

/** Invalid filters: the SUBSCRIBE closes the connection. */
const BAD_FILTERS: readonly (readonly [string, string])[] = [
  ['MQTT-4.7.1-2', 'a/#/b'],
  ['MQTT-4.7.1-2', '#/a'],
  ['MQTT-4.7.1-2', 'a#'],
  ['MQTT-4.7.1-2', 'a/b#'],
  ['MQTT-4.7.1-2', 'a/#b'],
  ['MQTT-4.7.1-2', '##'],
  ['MQTT-4.7.1-3', 'a+'],
  ['MQTT-4.7.1-3', '+a'],
  ['MQTT-4.7.1-3', 'a/b+/c'],
  ['MQTT-4.7.1-3', '++'],
  ['MQTT-4.7.1-3', '+#'],
  ['MQTT-4.7.3-1', ''],
  ['MQTT-4.7.3-2', 'a\u0000b'],
]

conformance('Topic filters', { limits: { topicBytesMax: 65_535 } }, (broker) => {
  it.each(MATCHES)('[%s] %s matches %j, not %j', async (_clause, shape, matching, others) => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const first = unique('T')
    const inPlace = (text: string): string => text.replace('T', first)
    expect(await client.subscribe([inPlace(shape), 0])).toEqual([0])
    for (const topic of others) await publisher.publish({ topic: inPlace(topic) })
    for (const topic of matching) {
      await publisher.publish({ topic: inPlace(topic), payload: 'match' })
      const message = await client.expect('publish')
      expect(message.topic).toBe(inPlace(topic))
    }
    await expectNothingDelivered(client, publisher)
  })

  it.each(BAD_FILTERS)('[%s] the filter %j closes the connection', async (_clause, filter) => {
    await using client = await broker.connect()
    client.send(
      encodeSubscribe(1, [
        [unique('t'), 0],
        [filter, 0],
      ]),
    )
    await client.expectClosed()
  })

  it('[MQTT-4.7.2-1] filters that start with a wildcard match no topic that starts with $', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const start = unique('$x')
    expect(await client.subscribe(['#', 0], ['+/a', 0], ['+/+', 0])).toEqual([0, 0, 0])
    await publisher.publish({ topic: `${start}/a`, payload: 'never', qos: 1 })
    await publisher.publish({ topic: '$', payload: 'never', qos: 1 })
    const topic = unique('plain')
    await publisher.publish({ topic, payload: 'plain', qos: 1 })
    for (;;) {
      // Other tests of this file publish too; what starts with $ must not be among it.
      const message = await client.expect('publish')
      expect(message.topic.startsWith('$')).toBe(false)
      if (message.topic === topic) break
    }
  })

  it('[MQTT-4.7.2-1] a filter that names the first level matches topics that start with $', async () => {
    await using client = await broker.connect()
    const start = unique('$x')
    await client.subscribe([`${start}/#`, 0], [`${start}/+/b`, 0])
    await client.publish({ topic: `${start}/a`, payload: 'named' })
    expect(await client.expect('publish')).toMatchObject({ topic: `${start}/a` })
  })

  it('[MQTT-4.7.3-1] a topic may be a single slash, which has two empty levels', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    await client.subscribe(['/', 0], ['+/+', 0], ['/+', 0])
    await publisher.publish({ topic: '/', payload: 'slash' })
    expect(await client.expect('publish')).toMatchObject({ topic: '/' })
    await client.unsubscribe('/', '+/+', '/+')
    await client.subscribe(['+', 0])
    await publisher.publish({ topic: '/', payload: 'never' })
    await publisher.publish({ topic: unique('fence'), payload: 'fence' })
    expect(await client.take('publish')).toMatchObject({ payload: Buffer.from('fence') })
  })

  it('[MQTT-4.7.3-3] a filter of 65,535 bytes receives its messages', async () => {
    await using client = await broker.connect()
    const topic = unique('t').padEnd(65_533, 'x')
    expect(await client.subscribe([`${topic}/+`, 1])).toEqual([1])
    await client.publish({ topic: `${topic}/y`, payload: 'long' })
    expect(await client.expect('publish')).toMatchObject({ topic: `${topic}/y` })
  })

  it('[MQTT-4.7.1-2] a topic and a filter may have 100 levels', async () => {
    await using client = await broker.connect()
    const topic = [unique('t'), ...Array.from({ length: 99 }, () => '')].join('/')
    expect(await client.subscribe([topic, 0])).toEqual([0])
    await client.publish({ topic, payload: 'deep' })
    expect(await client.expect('publish')).toMatchObject({ topic })
  })

  it('[MQTT-3.3.2-3] a delivered message matches a filter of its client, with 200 filters of many shapes', async () => {
    await using client = await broker.connect()
    await using publisher = await broker.connect()
    const start = unique('t')
    const shapes = ['a/+', '+/b', 'a/b/#', '+/+/c', 'a/+/c/#', 'x', 'x/+/y', 'x/#', '+', '+/b/+/d']
    const filters = shapes.flatMap((shape) =>
      Array.from({ length: 20 }, (_, index) => [`${start}${index}/${shape}`, 0] as const),
    )
    expect(await client.subscribe(...filters)).toEqual(filters.map(() => 0))
    const topics = [
      'a',
      'a/b',
      'a/b/c',
      'a/c',
      'b',
      'b/b',
      'b/c',
      'x/a',
      'x/a/y',
      'c/d/e',
      'a/b/c/d',
    ]
    for (const topic of topics) await publisher.publish({ topic: `${start}7/${topic}` })
    const fence = unique('fence')
    await client.subscribe([fence, 0])
    await publisher.publish({ topic: fence })
    const delivered = new Set<string>()
    for (;;) {
      const message = await client.expect('publish')
      if (message.topic === fence) break
      delivered.add(message.topic.slice(start.length + 2))
    }
    expect([...delivered].sort()).toEqual(
      ['a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/c', 'b', 'b/b', 'x/a', 'x/a/y'].sort(),
    )
  })
})
