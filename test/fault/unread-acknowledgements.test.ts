/* A publisher that never reads its PUBACKs is not read either, so they cannot pile up at the node. */
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { encodePublish } from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'
import { PacketFlow } from './packet-flow.ts'

/** Small frames: what fills up is the way back, 4 bytes for each. */
const CHUNK = 5_000
const OUTBOUND_MESSAGES_MAX = 2_000

function chunk(from: number): Buffer {
  return Buffer.concat(
    Array.from({ length: CHUNK }, (_, index) =>
      encodePublish({ topic: 'a', qos: 1, packetId: ((from + index) % 65_535) + 1 }),
    ),
  )
}

/** Publishes until the node takes no more: nothing has moved for a while. Returns how many were sent. */
async function floodUntilHeld(publisher: PacketFlow, node: NodeProcess): Promise<number> {
  let sent = 0
  let taken = -1
  for (;;) {
    while (publisher.socket.writableLength === 0) {
      publisher.send(chunk(sent))
      sent += CHUNK
      await delay(1)
    }
    await delay(400)
    if (publisher.socket.writableLength === 0) continue
    const page = await MetricsPage.of(node)
    const now = page.value('breakwater_messages_received_total')
    expect(page.value('breakwater_outbound_buffer_bytes')).toBeLessThan(
      OUTBOUND_MESSAGES_MAX * 4 + 64,
    )
    if (now === taken) return sent
    taken = now
  }
}

describe('a publisher that does not read its acknowledgements', () => {
  it('is not read, and gets every acknowledgement in order when it reads again', async () => {
    const limits = { outboundMessagesMax: OUTBOUND_MESSAGES_MAX }
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'], limits })
    let acknowledged = 0
    await using publisher = await PacketFlow.connect(node, { clientId: 'p' }, (packet) => {
      if (packet.type !== 'puback') throw new Error(packet.type)
      if (packet.packetId !== (acknowledged % 65_535) + 1) throw new Error('out of order')
      acknowledged += 1
    })
    publisher.stopReading()
    const sent = await floodUntilHeld(publisher, node)
    expect((await MetricsPage.of(node)).value('breakwater_messages_received_total')).toBeLessThan(
      sent,
    )
    publisher.goOnReading()
    await publisher.until(() => acknowledged === sent, `${sent} acknowledgements`, 30_000)
    expect(node.closeReasons()).toEqual([])
  })

  it('is closed as stalled if it never reads', async () => {
    const limits = { outboundMessagesMax: OUTBOUND_MESSAGES_MAX, stallTimeoutMs: 1_000 }
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'], limits })
    await using publisher = await PacketFlow.connect(node, { clientId: 'p', keepAliveSeconds: 1 })
    publisher.stopReading()
    const closed = node.logged(({ msg }) => msg === 'connection closed')
    const flood = async (): Promise<void> => {
      for (let sent = 0; !publisher.isClosed; sent += CHUNK) {
        if (publisher.socket.writableLength === 0) publisher.send(chunk(sent))
        await delay(1)
      }
    }
    const flooded = flood()
    expect(await closed).toMatchObject({ reason: 'stalled' })
    await publisher.drop()
    await flooded
  })
})
