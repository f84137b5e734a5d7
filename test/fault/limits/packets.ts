import { expect } from 'vitest'
import { startNode, type TestNode } from '../../kit/node.ts'
import { WireClient } from '../../kit/wire-client.ts'
import * as wire from '../../kit/wire-encoder.ts'
import {
  connect,
  expectClosedWith,
  expectFiltersRefused,
  LISTEN_PLAIN as listen,
  type LimitDriver,
} from './driver.ts'

async function drivePacketBytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { packetBytesMax: 200 } })
  await using client = await connect(node)
  // Two bytes of length, so three of header; topic, packet id and payload are the rest.
  const largest = wire.encodePublish({ topic: 't', qos: 1, packetId: 1, payload: 'x'.repeat(192) })
  expect(largest).toHaveLength(200)
  client.send(largest)
  await client.expect('puback')
  client.send(Buffer.from([0x32, 0xc6, 0x01]))
  await expectClosedWith(node, client, 'packet-too-large')
}

async function driveConnectBytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { connectBytesMax: 200 } })
  const connectOf = (bytes: number): Buffer => {
    const will = { topic: 'w', payload: 'x'.repeat(bytes - 32) }
    return wire.encodeConnect({ clientId: 'client-sized', will })
  }
  const [largest, larger] = [connectOf(200), connectOf(201)]
  expect([largest.length, larger.length]).toEqual([200, 201])
  await using client = await WireClient.open(node)
  client.send(largest)
  await client.expect('connack')
  // Other packets have another bound.
  await client.publish({ topic: 't', qos: 1, payload: 'x'.repeat(10_000) })
  await using other = await WireClient.open(node)
  // Its header is enough.
  other.send(larger.subarray(0, 3))
  await expectClosedWith(node, other, 'packet-too-large')
}

async function driveClientIdBytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { clientIdBytesMax: 23 } })
  await using client = await connect(node, { clientId: 'x'.repeat(23) })
  await client.expectSilence()
  await using other = await WireClient.open(node)
  expect(await other.connect({ clientId: 'x'.repeat(24) })).toMatchObject({ returnCode: 2 })
  await expectClosedWith(node, other, 'client-id-rejected')
}

async function driveUsernameBytes(): Promise<void> {
  const [longest, longer] = ['u'.repeat(16), 'u'.repeat(17)]
  const users = { [longest]: 'right', [longer]: 'right' }
  await using node = await startNode({ listen, users, limits: { usernameBytesMax: 16 } })
  await using client = await connect(node, { username: longest, password: 'right' })
  await client.expectSilence()
  await using other = await WireClient.open(node)
  const connack = await other.connect({ clientId: 'o', username: longer, password: 'right' })
  expect(connack).toMatchObject({ returnCode: 4 })
  await expectClosedWith(node, other, 'bad-credentials')
}

/** Without a CONNACK: 3.1.1 has no return code for it. */
async function expectWillRefused(node: TestNode, topic: string): Promise<void> {
  await using client = await WireClient.open(node)
  client.send(wire.encodeConnect({ clientId: 'willing', will: { topic } }))
  await client.expectClosed()
  expect(node.closeReasons()).toEqual(['topic-too-long', 'topic-too-long'])
}

async function driveTopicBytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { topicBytesMax: 16 } })
  await using client = await connect(node)
  const [longest, longer] = ['é'.repeat(8), `${'é'.repeat(8)}x`]
  expect(await client.subscribe([longest, 1], [longer, 1])).toEqual([1, 0x80])
  await expectFiltersRefused(node, 'too-long', 1)
  client.send(wire.encodePublish({ topic: longest, qos: 0 }))
  expect((await client.expect('publish')).topic).toBe(longest)
  await using willing = await connect(node, { will: { topic: longest } })
  await willing.expectSilence()
  client.send(wire.encodePublish({ topic: longer, qos: 1 }))
  await expectClosedWith(node, client, 'topic-too-long')
  await expectWillRefused(node, longer)
}

async function driveTopicLevels(): Promise<void> {
  await using node = await startNode({ listen, limits: { topicLevelsMax: 3 } })
  await using client = await connect(node)
  const codes = await client.subscribe(
    ['a/b/c', 1],
    ['a/b/c/d', 1],
    ['//', 0],
    ['///', 0],
    ['+/+/#', 0],
  )
  expect(codes).toEqual([1, 0x80, 0, 0x80, 0])
  await expectFiltersRefused(node, 'too-deep', 2)
  client.send(wire.encodePublish({ topic: 'a/b/c', qos: 0 }))
  expect((await client.expect('publish')).topic).toBe('a/b/c')
  client.send(wire.encodePublish({ topic: 'a/b/c/d', qos: 1 }))
  await expectClosedWith(node, client, 'topic-too-long')
  await expectWillRefused(node, 'a/b/c/d')
}

async function driveFilters(): Promise<void> {
  await using node = await startNode({ listen, limits: { filtersPerClientMax: 3 } })
  await using client = await connect(node)
  expect(await client.subscribe(['a', 0], ['b', 1])).toEqual([0, 1])
  expect(await client.subscribe(['c', 2], ['d', 0])).toEqual([2, 0x80])
  // One that is held already is no further one.
  expect(await client.subscribe(['a', 1])).toEqual([1])
  await client.unsubscribe('b')
  expect(await client.subscribe(['d', 0], ['e', 0])).toEqual([0, 0x80])
  await using other = await connect(node)
  expect(await other.subscribe(['x', 0], ['y', 0], ['z', 0])).toEqual([0, 0, 0])
  await expectFiltersRefused(node, 'filters-full', 2)
}

async function driveFilterBytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { filterBytesPerClientMax: 128 } })
  const [half, other, short] = ['é'.repeat(32), 'ö'.repeat(32), 'x']
  await using client = await connect(node)
  expect(await client.subscribe([half, 0], [half, 1], [other, 0], [short, 0])).toEqual([
    0, 1, 0, 0x80,
  ])
  // What is held already takes no more.
  expect(await client.subscribe([half, 2])).toEqual([2])
  await client.unsubscribe(other)
  expect(await client.subscribe([short, 0], [other, 0])).toEqual([0, 0x80])
  await using resuming = await connect(node, { clientId: 'resuming', clean: false })
  expect(await resuming.subscribe([half, 0], [other, 0])).toEqual([0, 0])
  await resuming.drop()
  await using resumed = await connect(node, { clientId: 'resuming', clean: false })
  expect(await resumed.subscribe([short, 0])).toEqual([0x80])
  await expectFiltersRefused(node, 'filter-bytes-full', 3)
}

async function driveShapesOfClient(): Promise<void> {
  await using node = await startNode({ listen, limits: { shapesPerClientMax: 2 } })
  await using client = await connect(node)
  expect(await client.subscribe(['+/a', 0], ['a/#', 0], ['a/+', 0])).toEqual([0, 0, 0x80])
  // Of a shape that it has, and of none.
  expect(await client.subscribe(['+/b', 0], ['c/d', 0])).toEqual([0, 0])
  await client.unsubscribe('a/#')
  expect(await client.subscribe(['a/+', 0], ['a/#', 0])).toEqual([0, 0x80])
  // Of those with more levels than shapes are made for each counts as one.
  await using deep = await connect(node)
  const filters = ['a', 'b', 'c'].map((level) => [`${'x/'.repeat(40)}${level}/+`, 0] as const)
  expect(await deep.subscribe(...filters)).toEqual([0, 0, 0x80])
  expect(await deep.subscribe(['+/a', 0], ['a/b', 0])).toEqual([0x80, 0])
  await deep.unsubscribe(filters[0]?.[0] as string)
  expect(await deep.subscribe(...filters)).toEqual([0, 0, 0x80])
  await expectFiltersRefused(node, 'shapes-full', 5)
}

async function driveShapesOfNode(): Promise<void> {
  await using node = await startNode({ listen, limits: { shapesPerNodeMax: 1 } })
  await using client = await connect(node)
  const filters = ['+/b/c', 'a/+/c', 'a/b/+', 'a/#', '#', '+/+/c'] as const
  const subscribers = await Promise.all(
    filters.map(async (filter) => {
      const subscriber = await connect(node)
      expect(await subscriber.subscribe([filter, 0])).toEqual([0])
      return subscriber
    }),
  )
  await client.publish({ topic: 'a/b/c', qos: 1 })
  for (const subscriber of subscribers) {
    expect((await subscriber.expect('publish')).topic).toBe('a/b/c')
    await subscriber.drop()
  }
}

async function driveInboundQos2(): Promise<void> {
  await using node = await startNode({ listen, limits: { inboundQos2Max: 3 } })
  await using client = await connect(node)
  const publish = (packetId: number): Buffer => wire.encodePublish({ topic: 't', qos: 2, packetId })
  for (const packetId of [1, 2, 3, 3]) {
    client.send(publish(packetId))
    expect((await client.expect('pubrec')).packetId).toBe(packetId)
  }
  client.send(wire.encodePubrel(1))
  await client.expect('pubcomp')
  client.send(publish(4))
  await client.expect('pubrec')
  client.send(publish(5))
  await expectClosedWith(node, client, 'receive-maximum-exceeded')
}

export const packetLimits = {
  packetBytesMax: drivePacketBytes,
  connectBytesMax: driveConnectBytes,
  clientIdBytesMax: driveClientIdBytes,
  usernameBytesMax: driveUsernameBytes,
  topicBytesMax: driveTopicBytes,
  topicLevelsMax: driveTopicLevels,
  filtersPerClientMax: driveFilters,
  filterBytesPerClientMax: driveFilterBytes,
  shapesPerClientMax: driveShapesOfClient,
  shapesPerNodeMax: driveShapesOfNode,
  inboundQos2Max: driveInboundQos2,
} as const satisfies Readonly<Record<string, LimitDriver>>
