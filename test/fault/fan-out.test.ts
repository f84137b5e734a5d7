/*
 * A fan-out to 1,000 subscribers beside a probe: bursts that take the node a good part of a second in all
 * must not hold up the messages between two other clients until they are over.
 */
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import * as wire from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'
import { PacketFlow } from './packet-flow.ts'
import { PairLoad } from './pair-load.ts'

const SUBSCRIBERS = 1_000
const BURSTS = 6
const BURST_MESSAGES = 150
const PAYLOAD = 'x'.repeat(64)

/** Subscribers that only count bytes: decoding in this process would be measured with the probe. */
class Audience implements AsyncDisposable {
  readonly #sockets: Socket[] = []
  readonly bytes: number[] = []
  #expected = 0
  #arrived: () => void = () => {}

  static async connect(node: NodeProcess, count: number): Promise<Audience> {
    const audience = new Audience()
    for (let from = 0; from < count; from += 100) {
      const batch = Array.from({ length: Math.min(100, count - from) }, (_, index) =>
        audience.#join(node, from + index),
      )
      await Promise.all(batch)
    }
    return audience
  }

  /** Resolves when each subscriber has received this number of further bytes. */
  async receive(bytes: number): Promise<void> {
    this.#expected += bytes
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#arrived = resolve
    this.#check()
    await promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
  }

  async #join(node: NodeProcess, index: number): Promise<void> {
    const socket = connect(node.port, node.host)
    this.#sockets.push(socket)
    socket.on('error', () => undefined)
    socket.write(
      Buffer.concat([
        wire.encodeConnect({ clientId: `audience-${index}` }),
        wire.encodeSubscribe(1, [['fan/out', 0]]),
      ]),
    )
    // CONNACK and SUBACK: nine bytes.
    for (let got = 0; got < 9;) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      got += chunk.length
    }
    this.bytes[index] = 0
    socket.on('data', (chunk: Buffer) => {
      const before = this.bytes[index] as number
      this.bytes[index] = before + chunk.length
      if (before < this.#expected && before + chunk.length >= this.#expected) this.#check()
    })
  }

  #check(): void {
    if (this.bytes.every((count) => count >= this.#expected)) this.#arrived()
  }
}

describe('a fan-out to 1,000 subscribers', () => {
  it('reaches every subscriber and does not delay two other clients', async () => {
    await using node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'] })
    await using audience = await Audience.connect(node, SUBSCRIBERS)
    await using publisher = await PacketFlow.connect(node, { clientId: 'publisher' })
    const load = {
      pairs: 1,
      messagesPerSecond: 200,
      payloadBytes: 64,
      qos: 0,
      topic: 'probe',
    } as const
    await using probe = await PairLoad.start(node, load)
    const frame = wire.encodePublish({ topic: 'fan/out', payload: PAYLOAD })
    const burst = Buffer.concat(Array.from({ length: BURST_MESSAGES }, () => frame))

    const fanOut = async (): Promise<void> => {
      for (let count = 0; count < BURSTS; count += 1) {
        publisher.send(burst)
        await audience.receive(burst.length)
        await delay(50)
      }
    }
    const during = await probe.during(fanOut())
    await probe.finish()

    expect(new Set(audience.bytes)).toEqual(new Set([BURSTS * burst.length]))
    const page = await MetricsPage.of(node)
    expect(page.value('breakwater_messages_dropped_total')).toBe(0)
    // Frames of one turn leave together: far fewer writes than frames.
    const copies = SUBSCRIBERS * BURSTS * BURST_MESSAGES
    expect(page.value('breakwater_writes_total')).toBeLessThan(copies / 10)
    expect(during.received).toBeGreaterThan(20)
    expect(during.received / during.sent).toBeGreaterThan(0.5)
  })
})
