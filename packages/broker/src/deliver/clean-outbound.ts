import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { packetIdOf } from '@breakwater/store'
import type { OutgoingPacket } from './exchange.ts'
import { Inflight } from './inflight.ts'
import type { FanOut } from './fan-out.ts'
import type { FrameSink } from './frame-sink.ts'
import type { Outbound } from './outbound.ts'

export interface CleanBounds {
  readonly inflightMessagesMax: number
  readonly outboundMessagesMax: number
  readonly outboundBytesMax: number
}

interface Waiting {
  readonly message: Message
  readonly qos: 1 | 2
  readonly source: 'live' | 'retained'
}

/** The queue of every session in which nothing waits; never pushed to. */
const NOTHING: (Waiting | undefined)[] = []
/** Places of messages that have left, at most. */
const COMPACT_AT = 1_024

/** Of a clean session: everything is in memory and ends with the connection. */
export class CleanOutbound implements Outbound {
  readonly #sink: FrameSink
  readonly #bounds: CleanBounds
  readonly #exchanges: Inflight
  #queue: (Waiting | undefined)[] = NOTHING
  #head = 0
  #queuedBytes = 0
  #position = 0
  #closed = false
  #readyWaiters: (() => void)[] | undefined

  constructor(sink: FrameSink, bounds: CleanBounds) {
    this.#sink = sink
    this.#bounds = bounds
    this.#exchanges = new Inflight(bounds.inflightMessagesMax)
  }

  get inflight(): number {
    return this.#exchanges.size
  }

  get position(): number {
    return 0
  }

  get waiting(): number {
    return this.#queue.length - this.#head
  }

  deliver(fanOut: FanOut, qos: QoS): void {
    if (qos === 0) {
      if (this.#sink.saturated) this.#sink.dropSlow(0)
      else this.#sink.publish(fanOut.frame(0), 0, 0, 'live')
      return
    }
    if (this.waiting > 0 || !this.#mayStart()) {
      // The payload is a slice of the publisher's read buffer: a message that waits must not pin it.
      this.#wait({ message: fanOut.message.detached(), qos, source: 'live' })
      return
    }
    this.#sink.publish(fanOut.frame(qos), qos, this.#start(qos), 'live')
  }

  queued(): void {
    // A clean session has no queue in the store.
  }

  replay(message: Message, qos: QoS): void {
    if (qos === 0) this.#sink.replay(message)
    else {
      this.#wait({ message, qos, source: 'retained' })
      this.writable()
    }
  }

  async ready(): Promise<void> {
    if (this.#closed || (this.waiting === 0 && !this.#sink.saturated)) return
    await new Promise<void>((resolve) => (this.#readyWaiters ??= []).push(resolve))
  }

  acknowledge(packet: OutgoingPacket, packetId: number): void {
    const { action } = this.#exchanges.step(packetId, packet)
    if (action === 'close') this.#sink.refuse(packet, packetId)
    else if (action === 'release' || action === 'answer-pubrel') this.#sink.pubrel(packetId)
    else this.writable()
  }

  writable(): void {
    while (this.waiting > 0 && this.#mayStart()) {
      const { message, qos, source } = this.#queue[this.#head] as Waiting
      this.#queue[this.#head] = undefined
      this.#head += 1
      this.#queuedBytes -= message.bytes
      this.#sink.publishMessage(message, qos, this.#start(qos), source, {
        retain: source === 'retained',
        duplicate: false,
      })
    }
    if (this.#head === this.#queue.length) {
      this.#queue = NOTHING
      this.#head = 0
    } else if (this.#head >= COMPACT_AT) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    if (this.waiting === 0 && !this.#sink.saturated) this.#wakeReady()
  }

  #wakeReady(): void {
    const waiters = this.#readyWaiters
    this.#readyWaiters = undefined
    if (waiters !== undefined) for (const resolve of waiters) resolve()
  }

  close(): void {
    this.#closed = true
    this.#queue = NOTHING
    this.#head = 0
    this.#wakeReady()
  }

  #mayStart(): boolean {
    return (
      this.#exchanges.room > 0 &&
      !this.#sink.saturated &&
      // An exchange that the client never finishes keeps its packet id for itself [MQTT-2.3.1-4].
      !this.#exchanges.has(packetIdOf(this.#position + 1))
    )
  }

  #start(qos: 1 | 2): number {
    this.#position += 1
    const packetId = packetIdOf(this.#position)
    this.#exchanges.start(packetId, this.#position, qos)
    return packetId
  }

  #wait(waiting: Waiting): void {
    const { outboundMessagesMax, outboundBytesMax } = this.#bounds
    if (this.waiting >= outboundMessagesMax || this.#queuedBytes >= outboundBytesMax) {
      this.#sink.dropSlow(waiting.qos)
      this.#sink.connection.close('queue-overflow')
      return
    }
    if (this.#queue === NOTHING) this.#queue = []
    this.#queue.push(waiting)
    this.#queuedBytes += waiting.message.bytes
  }
}
