/**
 * A publisher that keeps the sender's side of QoS 2 to the letter [MQTT 3.1.1, section 4.3.3], but in
 * whatever order, with duplicates and reconnects in between, as its driver says. It checks each answer.
 */
import { PacketFlow } from '../fault/packet-flow.ts'
import type { WireAddress } from '../kit/wire-client.ts'
import type { Packet } from '../kit/wire-decoder.ts'
import { encodePublish, encodePubrel } from '../kit/wire-encoder.ts'

/** Few, so that each is used again and again. */
const PACKET_IDS = [1, 2, 3, 4, 65_535]

interface Exchange {
  readonly payload: string
  /** What the publisher does next: release it once PUBREC is there; drop it once PUBCOMP is there. */
  phase: 'published' | 'received' | 'released'
}

export class Qos2Sender {
  /** Payloads in the order in which they were first released: how they must arrive. */
  readonly released: string[] = []
  readonly #address: WireAddress
  readonly #clientId: string
  readonly #topic: string
  #flow: PacketFlow | undefined
  /** In the order of their first PUBLISH, which is that of sending them again [MQTT-4.4.0-1]. */
  readonly #exchanges = new Map<number, Exchange>()
  /** Order in which they were released, for the same reason. */
  #releasing: number[] = []
  /** Answers that this connection still owes, by packet id. */
  #owed = { pubrec: new Map<number, number>(), pubcomp: new Map<number, number>() }
  #count = 0

  constructor(address: WireAddress, clientId: string, topic: string) {
    this.#address = address
    this.#clientId = clientId
    this.#topic = topic
  }

  async connect(): Promise<void> {
    const fields = { clientId: this.#clientId, clean: false }
    this.#flow = await PacketFlow.connect(this.#address, fields, (packet) => this.#take(packet))
    // What was released comes first: those messages were published before.
    for (const id of this.#releasing) this.#sendPubrel(id)
    for (const [id, { phase }] of this.#exchanges)
      if (phase !== 'released') this.#sendPublish(id, true)
  }

  async reconnect(): Promise<void> {
    await this.#flow?.drop()
    this.#owed = { pubrec: new Map(), pubcomp: new Map() }
    for (const exchange of this.#exchanges.values())
      if (exchange.phase === 'received') exchange.phase = 'published'
    await this.connect()
  }

  publish(): void {
    const id = PACKET_IDS.find(
      (candidate) => !this.#exchanges.has(candidate) && !this.#isOwed(candidate),
    )
    if (id === undefined) return
    this.#count += 1
    this.#exchanges.set(id, { payload: `m${this.#count}`, phase: 'published' })
    this.#sendPublish(id, false)
  }

  /** The same PUBLISH again, before it is released. */
  publishAgain(which: number): void {
    const open = this.#in('published', 'received')
    const id = open[which % open.length]
    if (id !== undefined) this.#sendPublish(id, true)
  }

  release(which: number): void {
    const open = this.#in('received')
    const id = open[which % open.length]
    if (id !== undefined) this.#release(id)
  }

  releaseAgain(which: number): void {
    const id = this.#releasing[which % this.#releasing.length]
    if (id !== undefined) this.#sendPubrel(id)
  }

  /** Nothing of that id is known to the broker: it answers all the same. */
  releaseUnknown(): void {
    this.#sendPubrel(9_999)
  }

  /** Waits for all answers that are owed. */
  async settle(): Promise<void> {
    const { pubrec, pubcomp } = this.#owed
    await this.#flow?.until(
      () => pubrec.size === 0 && pubcomp.size === 0,
      `answers: PUBREC for ${[...pubrec.keys()].join()}, PUBCOMP for ${[...pubcomp.keys()].join()}`,
    )
  }

  /** Plays every exchange to its end. */
  async finish(): Promise<void> {
    await this.settle()
    for (const id of this.#in('received')) this.#release(id)
    await this.settle()
    if (this.#exchanges.size > 0) throw new Error('exchanges are left over at the publisher')
  }

  async close(): Promise<void> {
    await this.#flow?.drop()
  }

  #in(...phases: readonly Exchange['phase'][]): number[] {
    return [...this.#exchanges].filter(([, { phase }]) => phases.includes(phase)).map(([id]) => id)
  }

  #release(id: number): void {
    const exchange = this.#exchanges.get(id) as Exchange
    exchange.phase = 'released'
    this.released.push(exchange.payload)
    this.#releasing.push(id)
    this.#sendPubrel(id)
  }

  #sendPublish(packetId: number, dup: boolean): void {
    const { payload } = this.#exchanges.get(packetId) as Exchange
    const fields = { topic: this.#topic, payload, qos: 2, packetId, dup }
    this.#send('pubrec', packetId, encodePublish(fields))
  }

  #sendPubrel(packetId: number): void {
    this.#send('pubcomp', packetId, encodePubrel(packetId))
  }

  #send(answer: 'pubrec' | 'pubcomp', packetId: number, frame: Buffer): void {
    const owed = this.#owed[answer]
    owed.set(packetId, (owed.get(packetId) ?? 0) + 1)
    this.#flow?.send(frame)
  }

  #isOwed(packetId: number): boolean {
    return this.#owed.pubrec.has(packetId) || this.#owed.pubcomp.has(packetId)
  }

  #take(packet: Packet): void {
    if (packet.type !== 'pubrec' && packet.type !== 'pubcomp')
      throw new Error(`${packet.type} to the publisher`)
    const { packetId } = packet
    const owed = this.#owed[packet.type]
    const count = owed.get(packetId) ?? 0
    if (count === 0) throw new Error(`${packet.type} ${packetId}, which nothing asked for`)
    if (count === 1) owed.delete(packetId)
    else owed.set(packetId, count - 1)
    const exchange = this.#exchanges.get(packetId)
    if (packet.type === 'pubrec') {
      if (exchange?.phase === 'published') exchange.phase = 'received'
    } else if (exchange?.phase === 'released') {
      this.#exchanges.delete(packetId)
      this.#releasing = this.#releasing.filter((id) => id !== packetId)
    }
  }
}
