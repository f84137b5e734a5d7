/**
 * A subscriber that keeps the receiver's side of QoS 2 (a packet id is remembered from its PUBLISH to its
 * PUBREL), but answers when and in what order its driver says. It checks what the broker may send.
 */
import { PacketFlow } from '../fault/packet-flow.ts'
import type { WireAddress } from '../kit/wire-client.ts'
import type { Packet } from '../kit/wire-decoder.ts'
import { encodePubcomp, encodePubrec, encodeSubscribe } from '../kit/wire-encoder.ts'

/** Of no exchange: positions never come this far here. */
const UNKNOWN_ID = 60_000

export class Qos2Receiver {
  /** Payloads that the application saw. */
  readonly seen: string[] = []
  readonly #address: WireAddress
  readonly #clientId: string
  readonly #windowMax: number
  #flow: PacketFlow | undefined
  /** PUBLISH came, PUBREL did not: what the application must not see again. */
  readonly #unreleased = new Map<number, string>()
  #toReceive: number[] = []
  #toComplete: number[] = []
  #isSubscribed = false
  #connections = 0

  constructor(address: WireAddress, clientId: string, windowMax: number) {
    this.#address = address
    this.#clientId = clientId
    this.#windowMax = windowMax
  }

  async connect(): Promise<void> {
    const fields = { clientId: this.#clientId, clean: false }
    this.#connections += 1
    this.#flow = await PacketFlow.connect(this.#address, fields, (packet) => this.#take(packet))
  }

  async subscribe(topic: string): Promise<void> {
    this.#flow?.send(encodeSubscribe(1, [[topic, 2]]))
    await this.#flow?.until(() => this.#isSubscribed, 'suback')
  }

  async reconnect(): Promise<void> {
    await this.#flow?.drop()
    this.#toReceive = []
    this.#toComplete = []
    await this.connect()
  }

  /** PUBREC for one of the messages that wait for it, not always the oldest. */
  receive(which: number): void {
    const [id] = this.#toReceive.splice(which % Math.max(1, this.#toReceive.length), 1)
    if (id !== undefined) this.#flow?.send(encodePubrec(id))
  }

  receiveTwice(which: number): void {
    const [id] = this.#toReceive.splice(which % Math.max(1, this.#toReceive.length), 1)
    if (id !== undefined) this.#flow?.send(encodePubrec(id), encodePubrec(id))
  }

  complete(which: number): void {
    const [id] = this.#toComplete.splice(which % Math.max(1, this.#toComplete.length), 1)
    if (id !== undefined) this.#flow?.send(encodePubcomp(id))
  }

  /** Acknowledges what was never sent. */
  answerUnknown(): void {
    this.#flow?.send(encodePubrec(UNKNOWN_ID), encodePubcomp(UNKNOWN_ID + 1))
  }

  /** Plays on until this many messages were seen and nothing is open. */
  async finish(count: number): Promise<void> {
    const answerAll = (): boolean => {
      while (this.#toReceive.length > 0) this.receive(0)
      while (this.#toComplete.length > 0) this.complete(0)
      return this.seen.length >= count && this.#unreleased.size === 0
    }
    await this.#flow?.until(answerAll, `${count} messages`)
  }

  async close(): Promise<void> {
    await this.#flow?.drop()
  }

  #take(packet: Packet): void {
    if (packet.type === 'suback') this.#isSubscribed = true
    else if (packet.type === 'pubrel') this.#takePubrel(packet.packetId)
    else if (packet.type === 'publish') this.#takePublish(packet)
    else throw new Error(`${packet.type} to the subscriber`)
  }

  #takePublish(packet: Extract<Packet, { type: 'publish' }>): void {
    const { packetId, dup, qos } = packet
    const payload = String(packet.payload)
    if (qos !== 2) throw new Error(`QoS ${qos}`)
    if (dup && this.#connections === 1) throw new Error('DUP on the first connection')
    if (this.#toReceive.includes(packetId)) throw new Error(`${packetId} twice on one connection`)
    const before = this.#unreleased.get(packetId)
    if (before === undefined) {
      // Packet ids follow from the position in the queue, which holds nothing else here.
      const expected = this.seen.push(payload)
      if (packetId !== expected) throw new Error(`packet id ${packetId}, not ${expected}`)
      this.#unreleased.set(packetId, payload)
    } else {
      if (before !== payload) throw new Error(`packet id ${packetId} of ${before} for ${payload}`)
      if (!dup) throw new Error(`${payload} again without DUP`)
    }
    this.#toReceive.push(packetId)
    if (this.#unreleased.size > this.#windowMax) throw new Error('more than the window in flight')
  }

  #takePubrel(packetId: number): void {
    if (packetId !== UNKNOWN_ID && this.seen[packetId - 1] === undefined)
      throw new Error(`PUBREL ${packetId}, which was never published`)
    this.#unreleased.delete(packetId)
    this.#toComplete.push(packetId)
  }
}
