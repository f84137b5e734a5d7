/**
 * The sending half of a device.
 *
 * In: permission to send, as a limit that its sequence may not reach: raised by the schedule (open
 * loop) or by what came back (closed loop). Out: many frames per write, at most one write at a
 * time, so that the slab is never changed under the socket. Bounds: the slab and the inflight
 * table; a message that finds them full waits as a number, not as bytes, and keeps its intended
 * time.
 */
import type { Writable } from 'node:stream'
import { nowUs } from '../load/clock.ts'
import type { CreditWindow } from './credit-window.ts'
import { Acknowledged, InflightTable } from './inflight-table.ts'
import type { Meter } from '../measure/meter.ts'
import type { Schedule } from '../load/schedule.ts'
import type { PacketType, Qos } from '../wire/packet.ts'
import { PublishSlab } from '../wire/publish-frame.ts'

/** What gives a closed-loop publisher its credit back. */
export type CreditSource = 'delivery' | 'acknowledgement' | 'write'

/** How a publisher gets permission to send. */
export type PublisherDrive =
  | { readonly schedule: Schedule }
  | { readonly window: CreditWindow; readonly creditSource: CreditSource }

export interface PublisherOptions {
  readonly index: number
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly inflight: number
  readonly meter: Meter
  readonly drive: PublisherDrive
}

export class Publisher {
  readonly index: number
  /** Messages sent; also the sequence of the next one. */
  sequence = 0
  /** Whether a PumpQueue holds this publisher. */
  queued = false
  readonly #meter: Meter
  readonly #slab: PublishSlab
  readonly #payloadBytes: number
  readonly #inflight: InflightTable | undefined
  readonly #schedule: Schedule | undefined
  readonly #window: CreditWindow | undefined
  readonly #creditSource: CreditSource | undefined
  readonly #refill: number // free credits that are worth a write
  #socket: Writable | undefined
  #limit = 0
  #reached = 0 // messages that the schedule's loop has got to, sent or not
  #settled = 0 // acknowledged, or handed to the kernel: what `creditSource` says
  #writing = false
  #running = false

  constructor(options: PublisherOptions) {
    const { index, topic, payload, qos, retain, drive } = options
    this.index = index
    this.#meter = options.meter
    this.#payloadBytes = payload.length
    this.#slab = new PublishSlab({ topic, payload, qos, retain })
    this.#inflight = qos > 0 ? new InflightTable(options.inflight, qos) : undefined
    this.#schedule = 'schedule' in drive ? drive.schedule : undefined
    this.#window = 'window' in drive ? drive.window : undefined
    this.#creditSource = 'window' in drive ? drive.creditSource : undefined
    // Half a window at a time: fewer and larger writes, and never a dead end, because all that is
    // outstanding comes back.
    this.#refill = this.#window === undefined ? 1 : Math.max(1, this.#window.size >> 1)
  }

  /** From now on there is a connection to write to, or (undefined) there is none. */
  attach(socket: Writable | undefined): void {
    this.#socket = socket
  }

  /** Allows the first messages. */
  start(now: number): void {
    this.#running = true
    if (this.#window !== undefined) this.#limit = this.#window.limit
    this.pump(now)
  }

  /** Nothing more is sent; what is held back is forgotten. */
  stop(): void {
    this.#running = false
  }

  /** Messages that may be sent and are not. */
  get waiting(): number {
    return Math.max(0, this.#limit - this.sequence)
  }

  /** Open loop: one more message is due. `dispatch` sends it. */
  release(): void {
    this.#limit += 1
  }

  /** Open loop: sends what was released, and notes how late this process got to it. */
  dispatch(now: number): void {
    const before = this.#reached
    while (this.#reached < this.#limit) {
      const intendedUs = this.#schedule!.intendedUs(this.index, this.#reached)
      if (this.#meter.measures(intendedUs)) this.#meter.lag.record(now - intendedUs)
      this.#reached += 1
    }
    this.pump(now)
    if (this.sequence < this.#limit) {
      this.#meter.heldBack += this.#limit - Math.max(this.sequence, before)
    }
  }

  /** Closed loop: a receiver went from message `from` to `to`; true if a write is worth it. */
  credit(from: number, to: number): boolean {
    const window = this.#window!
    window.advance(from, to)
    this.#limit = window.limit
    return this.#limit - this.sequence >= this.#refill
  }

  /** Closed loop: what is outstanding will not come back. */
  forfeit(now: number): void {
    this.#window?.forfeit(this.sequence)
    if (this.#window !== undefined) this.#limit = this.#window.limit
    this.pump(now)
  }

  /** Takes PUBACK, PUBREC or PUBCOMP; true if PUBREL is the answer. */
  acknowledge(type: PacketType, packetId: number, now: number): boolean {
    const meter = this.#meter
    const outcome = this.#inflight?.settle(type, packetId) ?? Acknowledged.stray
    if (outcome === Acknowledged.stray) {
      meter.strayAcknowledgements += 1
      return false
    }
    if (outcome === Acknowledged.received) return true
    meter.acknowledged += 1
    const intendedUs = this.#inflight!.intendedUs(packetId)
    if (meter.measures(intendedUs)) {
      meter.acknowledgement.record(now - intendedUs)
      meter.acknowledgementTransit.record(now - this.#inflight!.sentUs(packetId))
    }
    if (this.#creditSource === 'acknowledgement') this.#settle(1)
    return false
  }

  /** Writes all that may be sent and fits. */
  pump(now: number): void {
    const socket = this.#socket
    if (this.#writing || socket === undefined || !this.#running) return
    if (this.#limit - this.sequence < this.#refill) return
    const slab = this.#slab
    const inflight = this.#inflight
    while (this.sequence < this.#limit && slab.count < slab.capacity) {
      const sequence = this.sequence
      let packetId = 0
      const intendedUs = this.#schedule?.intendedUs(this.index, sequence) ?? now
      if (inflight !== undefined) {
        if (!inflight.hasRoom(sequence)) break
        inflight.open(sequence, intendedUs, now)
        packetId = inflight.packetId(sequence)
      }
      slab.stage(sequence, intendedUs, now, packetId)
      this.sequence = sequence + 1
    }
    const count = slab.count
    if (count === 0) return
    this.#meter.sent += count
    this.#meter.sentBytes += count * this.#payloadBytes
    this.#writing = true
    socket.write(slab.take(), this.#written)
  }

  #settle(count: number): void {
    this.credit(this.#settled, this.#settled + count)
    this.#settled += count
  }

  #written = (error?: Error | null): void => {
    this.#writing = false
    if (error) return
    if (this.#creditSource === 'write') this.#settle(this.sequence - this.#settled)
    if (this.#limit - this.sequence >= this.#refill) setImmediate(this.#resume)
  }

  #resume = (): void => {
    this.pump(nowUs())
  }
}

/** Publishers that got enough credit back during one read; each is pumped once after it. */
export class PumpQueue {
  readonly #publishers: Publisher[] = []

  add(publisher: Publisher): void {
    if (publisher.queued) return
    publisher.queued = true
    this.#publishers.push(publisher)
  }

  drain(now: number): void {
    for (const publisher of this.#publishers) {
      publisher.queued = false
      publisher.pump(now)
    }
    this.#publishers.length = 0
  }
}
