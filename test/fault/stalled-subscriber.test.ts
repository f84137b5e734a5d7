/*
 * One subscriber of # that does not read, beside 20 healthy pairs [G4]. The node is a process of its
 * own, so that its latency is not that of this one.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { encodePuback, encodeSubscribe } from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'
import { PacketFlow, type PacketHandler } from './packet-flow.ts'
import { messageNumber, PairLoad, type Measured } from './pair-load.ts'

const PAIRS = 20
const LOAD = { pairs: PAIRS, messagesPerSecond: 1_000, payloadBytes: 4_096 } as const

const closedOf = (node: NodeProcess, clientId: string) =>
  node.logged((line) => line['msg'] === 'connection closed' && line['clientId'] === clientId)

async function subscribeToAll(
  node: NodeProcess,
  fields: { readonly clientId: string; readonly clean: boolean; readonly qos: 0 | 1 },
  onPacket: PacketHandler = () => {},
): Promise<PacketFlow> {
  let isSubscribed = false
  const { qos, ...connect } = fields
  const flow = await PacketFlow.connect(node, connect, (packet) => {
    if (packet.type !== 'suback') return
    isSubscribed = true
    flow.onPacket = onPacket
  })
  flow.send(encodeSubscribe(1, [['#', qos]]))
  await flow.until(() => isSubscribed, 'suback')
  return flow
}

/** Messages went on arriving: a node that is held up while the subscriber stalls delivers none of them meanwhile. */
function expectUnharmed({ sent, received }: Measured): void {
  expect(sent).toBeGreaterThan(0)
  expect(received / sent).toBeGreaterThan(0.5)
}

/** The last number of each topic is that of its pair's last message. */
function expectEachComplete(last: ReadonlyMap<string, number>, load: PairLoad): void {
  expect(load.sent.map((_, pair) => last.get(`pair/${pair}`))).toEqual(load.sent)
}

function residentBytes(node: NodeProcess): number {
  const status = readFileSync(`/proc/${node.process.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024
}

describe('20 publishers and subscribers keep their rate beside a subscriber of # that does not read', () => {
  it('at QoS 0: messages for that subscriber are dropped and counted, then the node closes its connection as stalled', async () => {
    const outboundBytesMax = 262_144
    const limits = { outboundBytesMax, stallTimeoutMs: 1_500 }
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'], limits })
    await using load = await PairLoad.start(node, { ...LOAD, qos: 0, topic: 'pair' })
    const bytesBefore = residentBytes(node)

    await using stalled = await subscribeToAll(node, { clientId: 'stalled', clean: true, qos: 0 })
    stalled.stopReading()
    let mostWaiting = 0
    let mostBytes = 0
    const watch = async (): Promise<void> => {
      const closed = closedOf(node, 'stalled').then(() => true)
      while (!(await Promise.race([closed, delay(200, false)]))) {
        const page = await MetricsPage.of(node)
        mostWaiting = Math.max(mostWaiting, page.value('breakwater_outbound_buffer_bytes'))
        mostBytes = Math.max(mostBytes, residentBytes(node))
      }
    }
    const during = await load.during(watch())
    await load.finish()

    expectUnharmed(during)
    expect(load.connectedPairs).toBe(PAIRS)
    expect(await closedOf(node, 'stalled')).toMatchObject({ reason: 'stalled', level: 'warn' })
    const page = await MetricsPage.of(node)
    expect(page.dropped('slow-consumer', 0)).toBeGreaterThan(100)
    expect(page.value('breakwater_connections_closed_total', { reason: 'stalled' })).toBe(1)
    expect(page.value('breakwater_outbound_buffer_bytes')).toBe(0)
    // The bound, the message that reached it, and what the pairs have waiting for their turn.
    expect(mostWaiting).toBeGreaterThan(outboundBytesMax / 2)
    expect(mostWaiting).toBeLessThan(outboundBytesMax + 500_000)
    expect(mostBytes - bytesBefore).toBeLessThan(100_000_000)
  })

  it('at QoS 1, clean: the node closes that subscriber with queue-overflow', async () => {
    const limits = {
      inflightMessagesMax: 100,
      outboundMessagesMax: 1_000,
      outboundBytesMax: 16_777_216,
    }
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'], limits })
    await using load = await PairLoad.start(node, { ...LOAD, qos: 1, topic: 'pair' })

    await using stalled = await subscribeToAll(node, { clientId: 'stalled', clean: true, qos: 1 })
    stalled.stopReading()
    const during = await load.during(closedOf(node, 'stalled'))
    await load.finish()

    expectUnharmed(during)
    expect(await closedOf(node, 'stalled')).toMatchObject({ reason: 'queue-overflow' })
    // 100 in flight and 1,000 waiting: it was not given up before.
    expect(during.sent).toBeGreaterThan(1_000)
    expect(load.connectedPairs).toBe(PAIRS)
    // The message that found the queue full; those that waited end with their session.
    expect((await MetricsPage.of(node)).dropped('slow-consumer', 1)).toBeGreaterThan(0)
  })

  it('at QoS 1, persistent: that subscriber gets every message in order when it reads again', async () => {
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'] })
    await using load = await PairLoad.start(node, {
      ...LOAD,
      messagesPerSecond: 1,
      qos: 1,
      topic: 'idle',
    })
    const last = new Map<string, number>()
    let count = 0
    await using slow = await subscribeToAll(
      node,
      { clientId: 'slow', clean: false, qos: 1 },
      (packet, flow) => {
        if (packet.type !== 'publish') return
        flow.send(encodePuback(packet.packetId))
        if (!packet.topic.startsWith('pair/')) return
        const number = messageNumber(packet.payload)
        const expected = (last.get(packet.topic) ?? 0) + 1
        if (number !== expected) throw new Error(`${packet.topic}: ${number} after ${expected - 1}`)
        last.set(packet.topic, number)
        count += 1
      },
    )
    await using busy = await PairLoad.start(node, { ...LOAD, qos: 1, topic: 'pair' })
    slow.stopReading()
    const during = await busy.during(delay(3_000))
    slow.goOnReading()
    await busy.finish()
    await slow.until(() => count === busy.sentInAll, 'every message', 30_000)

    expectUnharmed(during)
    expectEachComplete(last, busy)
    expect(node.closeReasons()).toEqual([])
    expect((await MetricsPage.of(node)).value('breakwater_messages_dropped_total')).toBe(0)
    expect(load.connectedPairs).toBe(PAIRS)
  })

  it('at QoS 1, persistent, closed as stalled: that subscriber gets every message in order when it reconnects', async () => {
    // A window that the buffers of two sockets cannot hold: the socket shows that the client does not read.
    const limits = { stallTimeoutMs: 1_000, inflightMessagesMax: 10_000 }
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'], limits })
    const fields = { clientId: 'slow', clean: false, qos: 1 } as const
    const stalled = await subscribeToAll(node, fields)
    stalled.stopReading()
    await using load = await PairLoad.start(node, { ...LOAD, qos: 1, topic: 'pair' })
    await closedOf(node, 'slow')
    await load.finish()
    await stalled.drop()
    expect(node.closeReasons()).toEqual(['stalled'])

    const last = new Map<string, number>()
    let count = 0
    await using back = await PacketFlow.connect(
      node,
      { clientId: 'slow', clean: false },
      (packet, flow) => {
        if (packet.type !== 'publish') throw new Error(packet.type)
        flow.send(encodePuback(packet.packetId))
        const number = messageNumber(packet.payload)
        if (number !== (last.get(packet.topic) ?? 0) + 1) throw new Error('out of order')
        last.set(packet.topic, number)
        count += 1
      },
    )
    await back.until(() => count === load.sentInAll, 'every message', 30_000)
    expectEachComplete(last, load)
  })
})
