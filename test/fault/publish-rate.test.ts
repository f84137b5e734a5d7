/*
 * Publish rates: a publisher above its rate is not read. Nothing is dropped, everything is acknowledged in
 * order, and the time for which the node does not read does not count against the keep-alive.
 */
import { describe, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { encodePingreq, encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { PacketFlow } from './packet-flow.ts'

interface Delivery {
  readonly elapsedMs: number
  readonly payloads: readonly string[]
}

/** Publishes all of it in one write and sees it arrive at a subscriber. */
async function deliver(
  node: TestNode,
  fields: { readonly count: number; readonly qos: 0 | 1; readonly bytes: number },
): Promise<Delivery> {
  const { count, qos, bytes } = fields
  const payloads: string[] = []
  let isSubscribed = false
  await using subscriber = await PacketFlow.connect(node, { clientId: 's' }, (packet) => {
    if (packet.type === 'suback') isSubscribed = true
    if (packet.type === 'publish') payloads.push(String(packet.payload).trimEnd())
  })
  subscriber.send(encodeSubscribe(1, [['rate/t', 0]]))
  await subscriber.until(() => isSubscribed, 'suback')

  let acknowledged = 0
  let isAnswered = false
  // One second: it is silent for far longer than one and a half while it waits.
  const connect = { clientId: 'p', keepAliveSeconds: 1 }
  await using publisher = await PacketFlow.connect(node, connect, (packet) => {
    if (packet.type === 'pingresp') isAnswered = true
    if (packet.type !== 'puback') return
    acknowledged += 1
    if (packet.packetId !== acknowledged) throw new Error(`PUBACK ${packet.packetId} out of order`)
  })
  const frames = Array.from({ length: count }, (_, index) =>
    encodePublish({
      topic: 'rate/t',
      payload: String(index).padEnd(bytes),
      qos,
      ...(qos === 1 ? { packetId: index + 1 } : {}),
    }),
  )
  const startedAt = performance.now()
  publisher.send(...frames, encodePingreq())
  await subscriber.until(() => payloads.length === count, `${count} messages`, 30_000)
  const elapsedMs = performance.now() - startedAt
  await publisher.until(() => isAnswered && acknowledged === (qos === 1 ? count : 0), 'answers')
  expect(node.closeReasons()).toEqual([])
  // From here on it is read, and silent.
  await publisher.untilClosed()
  expect(node.closeReasons()).toEqual(['keep-alive-timeout'])
  return { elapsedMs, payloads }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`)

describe.concurrent('a publisher above its publish rate is slowed down and loses no message', () => {
  it.each([0, 1] as const)('with a rate in messages per second, at QoS %i', async (qos) => {
    await using node = await startNode({ limits: { publishMessagesPerSecondMax: 100 } })
    const { elapsedMs, payloads } = await deliver(node, { count: 350, qos, bytes: 10 })
    expect(payloads).toEqual(numbers(350))
    // A burst of one second's worth, then 2.5 seconds for the rest.
    expect(elapsedMs).toBeGreaterThan(2_400)
  })

  it.each([0, 1] as const)('with a rate in bytes per second, at QoS %i', async (qos) => {
    await using node = await startNode({ limits: { publishBytesPerSecondMax: 100_000 } })
    const { elapsedMs, payloads } = await deliver(node, { count: 350, qos, bytes: 1_000 })
    expect(payloads).toEqual(numbers(350))
    expect(elapsedMs).toBeGreaterThan(2_400)
  })

  it('with both rates, at the lower of the two', async () => {
    const limits = { publishMessagesPerSecondMax: 1_000, publishBytesPerSecondMax: 100_000 }
    await using node = await startNode({ limits })
    const { elapsedMs } = await deliver(node, { count: 300, qos: 1, bytes: 1_000 })
    expect(elapsedMs).toBeGreaterThan(1_900)
  })
})

describe('the publish rate of one client', () => {
  it('does not slow down another client', async () => {
    await using node = await startNode({ limits: { publishMessagesPerSecondMax: 10 } })
    let slowAcknowledged = 0
    await using slow = await PacketFlow.connect(node, { clientId: 'slow' }, () => {
      slowAcknowledged += 1
    })
    const frames = (count: number): Buffer[] =>
      Array.from({ length: count }, (_, index) =>
        encodePublish({ topic: 'a', qos: 1, packetId: index + 1 }),
      )
    slow.send(...frames(1_000))
    let acknowledged = 0
    await using other = await PacketFlow.connect(node, { clientId: 'other' }, () => {
      acknowledged += 1
    })
    other.send(...frames(10))
    await other.until(() => acknowledged === 10, 'its ten')
    // The others of its thousand would take it 99 seconds.
    expect(slowAcknowledged).toBeLessThan(1_000)
  })
})
