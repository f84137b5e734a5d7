import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { startNode, type TestNode } from '../../kit/node.ts'
import * as wire from '../../kit/wire-encoder.ts'
import { MetricsPage } from '../metrics-page.ts'
import { PacketFlow } from '../packet-flow.ts'
import { connect, LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

async function driveInflight(): Promise<void> {
  await using node = await startNode({ listen, limits: { inflightMessagesMax: 4 } })
  await using subscriber = await connect(node)
  await subscriber.subscribe(['t', 1])
  await using publisher = await connect(node)
  for (let count = 0; count < 6; count += 1)
    await publisher.publish({ topic: 't', payload: `${count}`, qos: 1 })
  const packetIds: number[] = []
  for (let count = 0; count < 4; count += 1) {
    const message = await subscriber.expect('publish')
    expect(String(message.payload)).toBe(`${count}`)
    packetIds.push(message.packetId)
  }
  await subscriber.expectSilence()
  subscriber.send(wire.encodePuback(packetIds[0] as number))
  expect(String((await subscriber.expect('publish')).payload)).toBe('4')
  await subscriber.expectSilence()
}

/** What a session finds that was away while these payloads were published. */
async function queuedWhileAway(
  node: TestNode,
  payloads: readonly string[],
): Promise<readonly string[]> {
  const fields = { clientId: 'device', clean: false }
  const device = await connect(node, fields)
  await device.subscribe(['q', 1])
  await device.drop()
  await using publisher = await connect(node)
  for (const payload of payloads) await publisher.publish({ topic: 'q', payload, qos: 1 })
  await publisher.publish({ topic: 'other', payload: 'not queued', qos: 1 })
  await using back = await connect(node, fields)
  const found: string[] = []
  back.send(wire.encodePingreq())
  for (let packet = await back.next(); packet.type === 'publish'; packet = await back.next()) {
    found.push(String(packet.payload))
    back.send(wire.encodePuback(packet.packetId))
  }
  await back.expectSilence()
  return found
}

async function driveQueueMessages(): Promise<void> {
  await using node = await startNode({ listen, limits: { queueMessagesMax: 3 } })
  const found = await queuedWhileAway(node, ['1', '2', '3', '4', '5'])
  expect(found).toEqual(['3', '4', '5'])
  expect((await MetricsPage.of(node)).dropped('queue-full', 1)).toBe(2)
}

async function driveQueueBytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { queueBytesMax: 1_024 } })
  const payload = (letter: string): string => letter.repeat(332)
  const found = await queuedWhileAway(node, ['a', 'b', 'c', 'd'].map(payload))
  // Three of them, each with its topic and 8 bytes of header, are 1,023 bytes.
  expect(found).toEqual(['b', 'c', 'd'].map(payload))
  expect((await MetricsPage.of(node)).dropped('queue-full', 1)).toBe(1)
}

/** Fills the socket of a subscriber that does not read, and then its write queue; gives what it holds. */
async function overfill(node: TestNode, payloadBytes: number): Promise<number> {
  await using subscriber = await PacketFlow.connect(node, { clientId: 's' })
  let isSubscribed = false
  subscriber.onPacket = () => {
    isSubscribed = true
  }
  subscriber.send(wire.encodeSubscribe(1, [['t', 0]]))
  await subscriber.until(() => isSubscribed, 'suback')
  subscriber.stopReading()
  let acknowledged = 0
  await using publisher = await PacketFlow.connect(node, { clientId: 'p' }, () => {
    acknowledged += 1
  })
  const payload = Buffer.alloc(payloadBytes)
  for (let sent = 1; sent < 2_000; sent += 1) {
    publisher.send(wire.encodePublish({ topic: 't', payload, qos: 1, packetId: sent }))
    await publisher.until(() => acknowledged === sent, 'puback')
    if (sent % 20 !== 0) continue
    // Drops that go on: the queue is full, and stays so.
    const page = await MetricsPage.of(node)
    if (page.dropped('slow-consumer', 0) > 20) {
      await delay(50)
      return (await MetricsPage.of(node)).value('breakwater_outbound_buffer_bytes')
    }
  }
  throw new Error('nothing was dropped')
}

async function driveOutboundMessages(): Promise<void> {
  const limits = { outboundMessagesMax: 16, outboundBytesMax: 1_000_000_000 }
  await using node = await startNode({ listen, limits })
  const bytes = await overfill(node, 60_000)
  // QoS 0 frames of 60,005 bytes: type, length, and a topic of one letter.
  expect(bytes / 60_007).toBe(16)
}

async function driveOutboundBytes(): Promise<void> {
  const limits = { outboundMessagesMax: 1_000_000, outboundBytesMax: 500_000 }
  await using node = await startNode({ listen, limits })
  const bytes = await overfill(node, 60_000)
  expect(bytes).toBeGreaterThanOrEqual(500_000)
  // The frame that reached the bound is the last one.
  expect(bytes).toBeLessThan(500_000 + 60_007)
}

async function driveRetainedReplay(): Promise<void> {
  await using node = await startNode({ listen, limits: { retainedReplayMessagesMax: 3 } })
  await using client = await connect(node)
  for (let count = 0; count < 5; count += 1)
    await client.publish({ topic: `r/${count}`, payload: 'x', qos: 1, retain: true })
  await using subscriber = await connect(node)
  await subscriber.subscribe(['r/#', 0])
  for (let count = 0; count < 3; count += 1)
    expect((await subscriber.expect('publish')).retain).toBe(true)
  await subscriber.expectSilence()
  expect((await MetricsPage.of(node)).dropped('retained-replay-limit', 0)).toBe(2)
  // Each SUBSCRIBE has its own bound.
  await subscriber.subscribe(['r/4', 0])
  expect((await subscriber.expect('publish')).topic).toBe('r/4')
}

export const queueLimits = {
  inflightMessagesMax: driveInflight,
  queueMessagesMax: driveQueueMessages,
  queueBytesMax: driveQueueBytes,
  outboundMessagesMax: driveOutboundMessages,
  outboundBytesMax: driveOutboundBytes,
  retainedReplayMessagesMax: driveRetainedReplay,
} as const satisfies Readonly<Record<string, LimitDriver>>
