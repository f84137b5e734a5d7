/*
 * More messages in one turn of the event loop than a write queue may hold, to clients that read: no client is slow,
 * so no message is dropped and no client waits for ever.
 */
import { describe, expect, it } from 'vitest'
import { startNode } from '../kit/node.ts'
import { encodePuback, encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'
import { PacketFlow, type PacketHandler } from './packet-flow.ts'

type Node = Awaited<ReturnType<typeof startNode>>

async function subscribe(
  node: Node,
  filter: string,
  qos: 0 | 1,
  onPacket: PacketHandler,
  clean = true,
): Promise<PacketFlow> {
  const flow = await PacketFlow.connect(node, { clientId: `s-${qos}`, clean }, onPacket)
  let isSubscribed = false
  flow.onPacket = (packet) => {
    if (packet.type !== 'suback') return
    isSubscribed = true
    flow.onPacket = onPacket
  }
  flow.send(encodeSubscribe(1, [[filter, qos]]))
  await flow.until(() => isSubscribed, 'suback')
  return flow
}

describe('a burst of messages', () => {
  it('of 50 publishers at once reaches their subscriber completely', async () => {
    await using node = await startNode()
    let received = 0
    await using subscriber = await subscribe(node, 'burst/#', 0, (packet) => {
      if (packet.type === 'publish') received += 1
    })
    const frame = encodePublish({ topic: 'burst/topic', payload: 'x'.repeat(40) })
    const burst = Buffer.concat(Array.from({ length: 1_200 }, () => frame))
    const publishers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        PacketFlow.connect(node, { clientId: `p-${index}` }),
      ),
    )
    for (const publisher of publishers) publisher.send(burst)
    await subscriber.until(() => received === 60_000, 'all 60,000 messages').catch(() => undefined)
    expect((await MetricsPage.of(node)).dropped('slow-consumer')).toBe(0)
    expect(received).toBe(60_000)
    await Promise.all(publishers.map((publisher) => publisher.drop()))
  })

  it('to the publishing client itself, larger than its write queue, is delivered completely', async () => {
    await using node = await startNode({ limits: { outboundMessagesMax: 16 } })
    let acknowledged = 0
    let received = 0
    await using client = await subscribe(node, 'self', 0, (packet) => {
      if (packet.type === 'puback') acknowledged += 1
      if (packet.type === 'publish') received += 1
    })
    client.send(
      ...Array.from({ length: 1_000 }, (_, index) =>
        encodePublish({ topic: 'self', qos: 1, packetId: index + 1 }),
      ),
    )
    await client.until(() => acknowledged === 1_000 && received === 1_000, 'all of both')
  })

  it.each([true, false])(
    'at QoS 0 does not block a QoS 1 message that follows (clean %s)',
    async (clean) => {
      await using node = await startNode({ limits: { outboundMessagesMax: 100 } })
      let last = ''
      await using subscriber = await subscribe(
        node,
        'mixed',
        1,
        (packet, flow) => {
          if (packet.type !== 'publish') return
          last = String(packet.payload)
          if (packet.qos === 1) flow.send(encodePuback(packet.packetId))
        },
        clean,
      )
      await using publisher = await PacketFlow.connect(node, { clientId: 'p' })
      publisher.send(
        ...Array.from({ length: 500 }, () => encodePublish({ topic: 'mixed', payload: '0' })),
        encodePublish({ topic: 'mixed', payload: 'one', qos: 1, packetId: 1 }),
      )
      await subscriber.until(() => last === 'one', 'the QoS 1 message')
    },
  )

  it('of 20,000 retained messages is replayed completely', async () => {
    await using node = await startNode()
    await using publisher = await PacketFlow.connect(node, { clientId: 'p' })
    const topics = Array.from({ length: 20_000 }, (_, index) => `replay/${index}`)
    let acknowledged = 0
    publisher.onPacket = () => {
      acknowledged += 1
    }
    for (const [index, topic] of topics.entries())
      publisher.send(
        encodePublish({ topic, payload: 'x', retain: true, qos: 1, packetId: index + 1 }),
      )
    await publisher.until(() => acknowledged === topics.length, 'acknowledgements')
    const received = new Set<string>()
    await using subscriber = await subscribe(node, 'replay/#', 0, (packet) => {
      if (packet.type === 'publish') received.add(packet.topic)
    })
    await subscriber.until(() => received.size === topics.length, 'every retained message')
  })
})
