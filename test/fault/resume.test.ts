/*
 * A device that was offline while 100,000 messages arrived [G6]: one connection gets them all, in order, paced by
 * its window, and what is published meanwhile after them.
 */
import { describe, expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePuback, encodePublish } from '../kit/wire-encoder.ts'
import { PacketFlow } from './packet-flow.ts'

const QUEUED = 100_000
const LIVE = 500
/** Live messages start in the middle of the resume. */
const LIVE_FROM = 20_000
const WINDOW = 256
/** The device always keeps this number unacknowledged, which reveals a broker that ignores the window. */
const HELD_BACK = 200
const TOPIC = 'resume/t'

function publishFrame(number: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(number)
  return encodePublish({ topic: TOPIC, payload, qos: 1, packetId: (number % 65_535) + 1 })
}

/** Publishes numbers from..to, and resolves when all are acknowledged. */
async function publishAll(publisher: PacketFlow, from: number, to: number): Promise<void> {
  let acknowledged = 0
  publisher.onPacket = (packet) => {
    if (packet.type === 'puback') acknowledged += 1
  }
  for (let start = from; start < to; start += 2_000) {
    const end = Math.min(to, start + 2_000)
    publisher.send(
      ...Array.from({ length: end - start }, (_, index) => publishFrame(start + index)),
    )
    await publisher.until(() => acknowledged >= end - from, 'acknowledgements')
  }
}

describe('a session that is resumed', () => {
  it(`gets ${QUEUED} queued messages in order, within its window, and live messages after them`, async () => {
    await using node = await startNode({
      limits: { queueMessagesMax: 2 * QUEUED, inflightMessagesMax: WINDOW },
    })
    const fields = { clientId: 'device', clean: false }
    await using before = await WireClient.open(node)
    await before.connect(fields)
    await before.subscribe([TOPIC, 1])
    await before.drop()
    await using publisher = await PacketFlow.connect(node, { clientId: 'publisher' })
    await publishAll(publisher, 0, QUEUED)

    const unacknowledged: number[] = []
    let next = 0
    let mostUnacknowledged = 0
    let live: Promise<void> | undefined
    await using device = await PacketFlow.connect(node, fields, (packet, flow) => {
      if (packet.type !== 'publish') throw new Error(packet.type)
      const number = packet.payload.readUInt32BE(0)
      if (number !== next) throw new Error(`message ${number} instead of ${next}`)
      // The packet id follows from the position in the queue, from 1 to 57,343 and round again.
      if (packet.packetId !== (number % 57_343) + 1) throw new Error(`packet id ${packet.packetId}`)
      if (packet.dup || packet.retain || packet.qos !== 1) throw new Error('flags')
      next += 1
      unacknowledged.push(packet.packetId)
      mostUnacknowledged = Math.max(mostUnacknowledged, unacknowledged.length)
      while (
        unacknowledged.length > HELD_BACK ||
        (next === QUEUED + LIVE && unacknowledged.length > 0)
      )
        flow.send(encodePuback(unacknowledged.shift() as number))
      if (next === LIVE_FROM) live = publishAll(publisher, QUEUED, QUEUED + LIVE)
    })
    await device.until(() => next === QUEUED + LIVE, 'all messages', 30_000)
    await live
    expect(mostUnacknowledged).toBeGreaterThan(HELD_BACK)
    expect(mostUnacknowledged).toBeLessThanOrEqual(WINDOW)

    // All of it was acknowledged: nothing is there for the next connection.
    await device.drop()
    await using after = await WireClient.open(node)
    expect(await after.connect(fields)).toMatchObject({ sessionPresent: true })
    await after.expectSilence()
  })
})
