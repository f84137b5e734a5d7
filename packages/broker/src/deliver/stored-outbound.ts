/**
 * Of a persistent session: the queue in the store is the one source of QoS 1/2, so a queued copy and a live
 * one can never race. A message that was just appended here, and is the next in turn, is sent from memory;
 * everything else is read from the queue when the window and the write queue have room.
 */
import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import {
  packetIdOf,
  queuedBytes,
  SHARED_PACKET_ID_MIN,
  type OpenedSession,
  type Owner,
  type QueuedMessage,
  type Store,
} from '@breakwater/store'
import type { OutgoingPacket } from './exchange.ts'
import { Inflight } from './inflight.ts'
import { FanOut } from './fan-out.ts'
import type { FrameSink } from './frame-sink.ts'
import type { Outbound } from './outbound.ts'

/** One read of the queue: not more than a write queue may hold anyway. */
const READ_MESSAGES_MAX = 256
const READ_BYTES_MAX = 524_288
/** What is kept while the queue is read, and of what size; the rest is read from the queue too. */
const AHEAD_MAX = 256
const AHEAD_MESSAGE_BYTES_MAX = 4_096

interface Ahead {
  readonly position: number
  readonly fanOut: FanOut
  readonly qos: 1 | 2
}

export interface StoredOutboundOptions {
  readonly clientId: string
  readonly opened: OpenedSession
  readonly inflightMessagesMax: number
  readonly store: Store
  readonly sink: FrameSink
  /** Whether the session may still have messages of this topic; unset: all of them. */
  readonly isWanted?: (topic: string) => boolean
  readonly onFault: (error: Error) => void
}

export class StoredOutbound implements Outbound {
  readonly #owner: Owner
  readonly #store: Store
  readonly #sink: FrameSink
  readonly #onFault: (error: Error) => void
  readonly #isWanted: ((topic: string) => boolean) | undefined
  readonly #exchanges: Inflight
  /** Sent by an earlier connection, as far as is known. */
  readonly #sentBefore: number
  /** The next position to send. */
  #next = 1
  /** Whether the queue may hold more than was sent. */
  #behind = true
  #reading = false
  /** What came during a read of the queue, in order and without gaps. */
  #ahead: Ahead[] = []
  #closed = false
  #readyWaiters: (() => void)[] | undefined

  constructor(options: StoredOutboundOptions) {
    this.#owner = { clientId: options.clientId, epoch: options.opened.epoch }
    this.#store = options.store
    this.#sink = options.sink
    this.#onFault = options.onFault
    this.#isWanted = options.isWanted
    this.#exchanges = new Inflight(options.inflightMessagesMax)
    this.#sentBefore = options.opened.sentPosition
    for (const packetId of options.opened.released) {
      // The others are those of shared subscriptions; PUBREL goes out in the order of all [MQTT-4.6.0-4].
      if (packetId < SHARED_PACKET_ID_MIN) this.#exchanges.restoreReleased(packetId)
      this.#sink.pubrel(packetId)
    }
  }

  get inflight(): number {
    return this.#exchanges.size
  }

  get position(): number {
    return this.#next - 1
  }

  get waiting(): number {
    return 0
  }

  deliver(fanOut: FanOut, qos: QoS): void {
    // QoS 1/2 comes by the queue, see `queued`.
    if (qos !== 0) return
    if (this.#sink.saturated) this.#sink.dropSlow(0)
    else this.#sink.publish(fanOut.frame(0), 0, 0, 'live')
  }

  queued(position: number, fanOut: FanOut, qos: QoS): void {
    // The queue was read in the meantime, and brought it.
    if (position > 0 && position < this.#next) return
    // At an unknown position (-1, 0) it is in the queue all the same, and is read from there.
    const isNext = position === this.#next && !this.#behind && !this.#reading
    if (qos !== 0 && isNext && this.#mayStart(position)) {
      this.#sendLive(position, fanOut, qos)
      return
    }
    // A read under way may bring this message too: whatever it did not bring is sent behind it.
    if (qos !== 0 && this.#reading && this.#keepAhead(position, fanOut, qos)) return
    this.#behind = true
    this.writable()
  }

  replay(message: Message, qos: QoS): void {
    if (qos === 0) {
      this.#sink.replay(message)
      return
    }
    const queues = [{ clientId: this.#owner.clientId, qos }]
    this.#store.append({ message, queues, replay: true }, (error, { dropped }) => {
      if (dropped > 0) this.#sink.dropFull(qos, dropped)
      if (error !== undefined) this.#onFault(error)
      this.#behind = true
      this.writable()
    })
  }

  async ready(): Promise<void> {
    if (this.#closed || !this.#sink.saturated) return
    await new Promise<void>((resolve) => (this.#readyWaiters ??= []).push(resolve))
  }

  acknowledge(packet: OutgoingPacket, packetId: number): void {
    const { action, position, bytes } = this.#exchanges.step(packetId, packet)
    switch (action) {
      case 'settle':
        this.#store.settle(this.#owner, position, bytes)
        break
      case 'release':
        this.#store.release(this.#owner, { position, packetId, bytes }, (error) => {
          // [MQTT-4.3.3-2]: without PUBREL the exchange would stay open for as long as the connection.
          if (error === undefined) this.#sink.pubrel(packetId)
          else this.#onFault(error)
        })
        return
      case 'complete':
        this.#store.complete(this.#owner, packetId)
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

  writable(): void {
    if (!this.#sink.saturated) this.#wakeReady()
    if (!this.#behind || this.#reading || this.#closed || !this.#mayStart(this.#next)) return
    this.#reading = true
    this.#read().catch((error: Error) => {
      this.#reading = false
      this.#ahead = []
      this.#onFault(error)
    })
  }

  close(): void {
    this.#closed = true
    this.#wakeReady()
  }

  #wakeReady(): void {
    const waiters = this.#readyWaiters
    this.#readyWaiters = undefined
    if (waiters !== undefined) for (const resolve of waiters) resolve()
  }

  async #read(): Promise<void> {
    while (!this.#closed && this.#mayStart(this.#next)) {
      const wanted = Math.min(READ_MESSAGES_MAX, this.#exchanges.room)
      // What is appended from here on is seen by this read, or sets the mark again.
      this.#behind = false
      const found = await this.#store.readQueue(this.#owner, this.#next, wanted, READ_BYTES_MAX)
      if (this.#closed) return
      if (!this.#sendAll(found)) this.#behind = true
      // Behind what came in the meantime there is nothing that will not be told.
      const caughtUp = this.#sendAhead()
      if (found.length > 0 && !caughtUp) this.#behind = true
      if (!this.#behind) break
    }
    this.#reading = false
  }

  #keepAhead(position: number, fanOut: FanOut, qos: 1 | 2): boolean {
    const last = this.#ahead.at(-1)
    if (position <= 0 || this.#ahead.length >= AHEAD_MAX) return false
    if (last !== undefined && position !== last.position + 1) return false
    const { message } = fanOut
    if (message.bytes > AHEAD_MESSAGE_BYTES_MAX) return false
    // Its payload lies in a buffer with many others.
    this.#ahead.push({ position, fanOut: new FanOut(message.detached()), qos })
    return true
  }

  /** True if it sent something, and nothing is left. */
  #sendAhead(): boolean {
    const ahead = this.#ahead
    this.#ahead = []
    let sent = false
    for (const { position, fanOut, qos } of ahead) {
      if (position < this.#next) continue
      if (position > this.#next || !this.#mayStart(position)) {
        this.#behind = true
        return false
      }
      this.#sendLive(position, fanOut, qos)
      sent = true
    }
    return sent
  }

  #sendLive(position: number, fanOut: FanOut, qos: 1 | 2): void {
    this.#start(position, qos, fanOut.message)
    this.#sink.publish(fanOut.frame(qos), qos, packetIdOf(position), 'live')
    this.#store.recordSent(this.#owner, position)
  }

  /** False when the write queue or the window was full before the end. */
  #sendAll(found: readonly QueuedMessage[]): boolean {
    for (const { position, message } of found) {
      if (!this.#mayStart(position)) return false
      if (this.#isWanted?.(message.topic) === false) {
        this.#sink.dropDenied(message.qos)
        this.#store.settle(this.#owner, position, queuedBytes(message))
        this.#next = position + 1
        continue
      }
      const qos = message.qos === 2 ? 2 : 1
      this.#start(position, qos, message)
      this.#sink.publishMessage(
        message,
        qos,
        packetIdOf(position),
        message.retain ? 'retained' : 'queue',
        {
          retain: message.retain,
          duplicate: position <= this.#sentBefore,
        },
      )
    }
    return true
  }

  #mayStart(position: number): boolean {
    return (
      this.#exchanges.room > 0 &&
      !this.#sink.saturated &&
      !this.#exchanges.has(packetIdOf(position))
    )
  }

  #start(position: number, qos: 1 | 2, message: Message): void {
    this.#exchanges.start(packetIdOf(position), position, qos, queuedBytes(message))
    this.#next = position + 1
  }
}
