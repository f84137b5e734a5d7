/**
 * What one session gets as a member of shared subscriptions: packet ids of their own range, a window of its
 * own (`inflightMessagesMax`). Nothing waits here: a member that cannot take a message now is passed over.
 *
 * When the connection ends, what the client has not acknowledged goes back to the queues of the groups. A
 * QoS 2 exchange of a persistent session is released then: the client is told to forget the packet id.
 */
import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import {
  SHARED_INFLIGHT_MAX,
  SHARED_PACKET_ID_MIN,
  sharedPacketIdOf,
  type Owner,
  type Store,
} from '@breakwater/store'
import type { OutgoingPacket } from '../deliver/exchange.ts'
import type { FrameSink } from '../deliver/frame-sink.ts'
import { Inflight } from '../deliver/inflight.ts'
import type { SharedEntry, SharedQueue } from './shared-queue.ts'

interface Sent {
  readonly queue: SharedQueue
  readonly entry: SharedEntry
  readonly qos: 1 | 2
}

export interface SharedOutboundOptions {
  readonly owner: Owner
  readonly persistent: boolean
  /** An earlier connection of the session may have used these packet ids. */
  readonly resumed: boolean
  /** Packet ids of the session that were released before it was resumed. */
  readonly released: readonly number[]
  readonly inflightMessagesMax: number
  readonly store: Store
  readonly sink: FrameSink
  readonly onFault: (error: Error) => void
}

export class SharedOutbound {
  readonly #owner: Owner
  readonly #persistent: boolean
  readonly #store: Store
  readonly #sink: FrameSink
  readonly #onFault: (error: Error) => void
  readonly #exchanges: Inflight
  /** By packet id, until PUBACK or PUBREC. */
  readonly #sent = new Map<number, Sent>()
  /** Of the groups that the session is a member of. */
  readonly queues: Set<SharedQueue> = new Set()
  #number: number
  #closed = false

  constructor(options: SharedOutboundOptions) {
    this.#owner = options.owner
    this.#persistent = options.persistent
    this.#store = options.store
    this.#sink = options.sink
    this.#onFault = options.onFault
    const windowMax = Math.min(options.inflightMessagesMax, SHARED_INFLIGHT_MAX)
    this.#exchanges = new Inflight(windowMax, { isReused: options.resumed })
    // Not where an earlier connection began: after a crash its client may still hold packet ids of QoS 2.
    this.#number = options.owner.epoch
    for (const packetId of options.released)
      if (packetId >= SHARED_PACKET_ID_MIN) this.#exchanges.restoreReleased(packetId)
  }

  get inflight(): number {
    return this.#exchanges.size
  }

  /** Whether it takes a message of this QoS now. */
  takes(qos: QoS): boolean {
    return !this.#closed && !this.#sink.saturated && (qos === 0 || this.#exchanges.room > 0)
  }

  /** Only what it `takes`. */
  send(queue: SharedQueue, entry: SharedEntry, qos: QoS): void {
    if (qos === 0) {
      this.sendOnce(entry.message)
      queue.finished(entry)
      return
    }
    const packetId = this.#nextPacketId()
    this.#exchanges.start(packetId, entry.position, qos)
    this.#sent.set(packetId, { queue, entry, qos })
    this.#publish(entry.message, qos, packetId)
  }

  /** With QoS 0. */
  sendOnce(message: Message): void {
    this.#publish(message, 0, 0)
  }

  acknowledge(packet: OutgoingPacket, packetId: number): void {
    const { action } = this.#exchanges.step(packetId, packet)
    const sent = this.#sent.get(packetId)
    switch (action) {
      case 'settle':
        this.#sent.delete(packetId)
        sent?.queue.finished(sent.entry)
        break
      case 'release':
        this.#sent.delete(packetId)
        if (sent !== undefined) this.#release(sent, packetId)
        return
      case 'complete':
        if (this.#persistent) this.#store.complete(this.#owner, packetId)
        break
      case 'answer-pubrel':
        this.#sink.pubrel(packetId)
        return
      case 'close':
        this.#sink.refuse(packet, packetId)
        return
      case 'ignore':
        return
    }
    this.writable()
  }

  /** The write queue or the window has room again. */
  writable(): void {
    for (const queue of this.queues) queue.pump()
  }

  /** The session is a member of nothing any more. */
  close(): void {
    this.#closed = true
    for (const [packetId, { qos }] of this.#sent)
      if (this.#persistent && qos === 2)
        this.#store.release(this.#owner, { position: 0, packetId, bytes: 0 }, () => undefined)
    for (const queue of new Set([...this.#sent.values()].map((sent) => sent.queue))) {
      const sent = [...this.#sent.values()].filter((one) => one.queue === queue)
      queue.returned(sent.map(({ entry }) => entry))
    }
    this.#sent.clear()
  }

  /** The group loses it only when it is known for good that this client has it. */
  #release({ queue, entry }: Sent, packetId: number): void {
    if (!this.#persistent) {
      queue.finished(entry)
      this.#sink.pubrel(packetId)
      return
    }
    this.#store.release(this.#owner, { position: 0, packetId, bytes: 0 }, (error) => {
      if (error === undefined) {
        queue.finished(entry)
        this.#sink.pubrel(packetId)
      } else {
        queue.returned([entry])
        this.#onFault(error)
      }
    })
  }

  /** Exchanges that their client does not finish keep their packet ids; the window is far smaller than the range. */
  #nextPacketId(): number {
    for (;;) {
      const packetId = sharedPacketIdOf(this.#number)
      this.#number += 1
      if (!this.#exchanges.has(packetId)) return packetId
    }
  }

  #publish(message: Message, qos: QoS, packetId: number): void {
    const flags = { retain: false, duplicate: false }
    this.#sink.publishMessage(message, qos, packetId, 'live', flags)
  }
}
