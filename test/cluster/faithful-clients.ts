/**
 * Clients that keep their side of the protocol across connections, as devices do: what was not acknowledged
 * is sent again with DUP, what was received is known by its packet id until it is released.
 */
import type { TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import {
  encodePuback,
  encodePubcomp,
  encodePublish,
  encodePubrec,
  encodePubrel,
  encodeSubscribe,
} from '../kit/wire-encoder.ts'
import type { Packet } from '../kit/wire-decoder.ts'
import { connectAt } from './cluster.ts'

type Address = Pick<TestNode, 'host' | 'port'>
type Qos = 1 | 2

/** What was published last, when everything before it was acknowledged. */
const MARKER = 'the end'
const TIMEOUT_MS = 20_000

/** Publishes 0, 1, 2, … with this number in flight at a time. */
export class FaithfulPublisher {
  readonly acknowledged: string[] = []
  readonly #options: PublisherOptions
  /** In the order of their first sending. */
  readonly #pending = new Map<number, { readonly payload: string; received: boolean }>()
  #sent = 0
  #lastPacketId = 0

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** True when all were acknowledged, false when the connection ended before. */
  async run(node: Address): Promise<boolean> {
    const { clientId, count, window, onAcknowledged } = this.#options
    const client = await openAt(node, clientId)
    if (client === undefined) return false
    await using _ = client
    for (const [packetId, { received }] of this.#pending)
      client.send(received ? encodePubrel(packetId) : this.#frame(packetId, true))
    for (;;) {
      while (this.#pending.size < window && this.#sent < count)
        this.#publish(client, `${this.#sent}`)
      if (this.#pending.size === 0 && this.#sent === count) this.#publish(client, MARKER)
      if (this.#pending.size === 0) return true
      const packet = await nextOf(client)
      if (packet === undefined) return false
      if (this.#take(client, packet)) onAcknowledged(this.acknowledged.length)
    }
  }

  #publish(client: WireClient, payload: string): void {
    this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
    this.#pending.set(this.#lastPacketId, { payload, received: false })
    this.#sent += 1
    client.send(this.#frame(this.#lastPacketId, false))
  }

  #frame(packetId: number, dup: boolean): Buffer {
    const { topic, qos } = this.#options
    const payload = this.#pending.get(packetId)?.payload ?? ''
    return encodePublish({ topic, payload, qos, packetId, dup })
  }

  /** Whether one more is acknowledged: by PUBACK, or by PUBCOMP. */
  #take(client: WireClient, packet: Packet): boolean {
    if (packet.type === 'pubrec') {
      const pending = this.#pending.get(packet.packetId)
      if (pending !== undefined) pending.received = true
      client.send(encodePubrel(packet.packetId))
      return false
    }
    if (packet.type !== 'puback' && packet.type !== 'pubcomp') throw new Error(packet.type)
    const pending = this.#pending.get(packet.packetId)
    if (pending === undefined || !this.#pending.delete(packet.packetId)) return false
    this.acknowledged.push(pending.payload)
    return true
  }
}

interface PublisherOptions {
  readonly clientId: string
  readonly topic: string
  readonly qos: Qos
  readonly count: number
  readonly window: number
  readonly onAcknowledged: (count: number) => void
}

/** A persistent session. */
export class FaithfulSubscriber {
  /** What the application got, in order: at QoS 2 without what came again before its release. */
  readonly received: string[] = []
  readonly #clientId: string
  readonly #unreleased = new Set<number>()

  constructor(clientId: string) {
    this.#clientId = clientId
  }

  async subscribe(node: Address, topic: string, qos: Qos): Promise<void> {
    await using client = await connectAt(node, { clientId: this.#clientId, clean: false })
    client.send(encodeSubscribe(1, [[topic, qos]]))
    await client.expect('suback')
    await client.disconnect()
  }

  /** True when the last message has come, false when the connection ended before. */
  async run(node: Address): Promise<boolean> {
    const client = await openAt(node, this.#clientId)
    if (client === undefined) return false
    await using _ = client
    let ended = false
    while (!ended || this.#unreleased.size > 0) {
      const packet = await nextOf(client)
      if (packet === undefined) return false
      if (packet.type === 'pubrel') {
        this.#unreleased.delete(packet.packetId)
        client.send(encodePubcomp(packet.packetId))
        continue
      }
      if (packet.type !== 'publish') throw new Error(packet.type)
      const payload = packet.payload.toString()
      const isNew = packet.qos === 1 || !this.#unreleased.has(packet.packetId)
      if (packet.qos === 2) this.#unreleased.add(packet.packetId)
      client.send(packet.qos === 1 ? encodePuback(packet.packetId) : encodePubrec(packet.packetId))
      if (payload === MARKER) ended = true
      else if (isNew) this.received.push(payload)
    }
    return true
  }
}

/** Undefined where the node is gone already. */
async function openAt(node: Address, clientId: string): Promise<WireClient | undefined> {
  const client = await WireClient.open(node, { timeoutMs: TIMEOUT_MS }).catch(() => undefined)
  const connack = await client?.connect({ clientId, clean: false }).catch(() => undefined)
  if (connack === undefined && client?.isClosed === false) throw new Error('no CONNACK')
  return connack === undefined ? undefined : client
}

/** Undefined where the connection has ended. */
async function nextOf(client: WireClient): Promise<Packet | undefined> {
  try {
    return await client.next()
  } catch (error) {
    if (client.isClosed) return undefined
    throw error
  }
}
