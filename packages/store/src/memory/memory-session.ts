import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { queuedBytes, QUEUE_FULL, type QueueBounds, type QueuedMessage } from '../store.ts'

/** One stored session in memory. The queue is a ring by position: reading and settling are O(1). */
export class MemorySession {
  readonly subscriptions: Map<string, QoS> = new Map()
  readonly released: Set<number> = new Set()
  readonly inbound: Map<number, Message> = new Map()
  #inboundBytes = 0
  readonly #queue = new Map<number, Message>()
  #first: number
  #last: number
  #bytes = 0
  readonly user: string
  epoch: number
  sentPosition = 0
  lastSeen: number = Date.now()
  /** Bytes that it may queue. */
  room: number = Infinity

  /** `last`: the position before the first one. */
  constructor(user: string, epoch: number, last: number = 0) {
    this.#first = last + 1
    this.#last = last
    this.user = user
    this.epoch = epoch
  }

  get queued(): number {
    return this.#queue.size
  }

  get queuedBytes(): number {
    return this.#bytes
  }

  append(message: Message, bounds: QueueBounds): { position: number; dropped: number } {
    const dropsOldest = (bounds.queuePolicy ?? 'drop-oldest') === 'drop-oldest'
    if (!dropsOldest && this.fullFor(message, bounds)) return { position: QUEUE_FULL, dropped: 1 }
    this.#last += 1
    this.#queue.set(this.#last, message)
    this.#bytes += queuedBytes(message)
    let dropped = 0
    while (
      this.#queue.size > bounds.queueMessagesMax ||
      (this.#bytes > this.#bytesMax(bounds) && this.#queue.size > 1)
    ) {
      this.delete(this.#oldest())
      dropped += 1
    }
    return { position: this.#last, dropped }
  }

  fullFor(message: Message, bounds: QueueBounds): boolean {
    return (
      this.#queue.size >= bounds.queueMessagesMax ||
      (this.#bytes + queuedBytes(message) > this.#bytesMax(bounds) && this.#queue.size > 0)
    )
  }

  /** Whether there was room for a QoS 2 publish; one of any size is taken. */
  keepInbound(packetId: number, message: Message, bytesMax: number): boolean {
    const before = this.inbound.get(packetId)
    const own = queuedBytes(message)
    const bytes = this.#inboundBytes + own - (before === undefined ? 0 : queuedBytes(before))
    if (bytes > own && bytes > Math.min(bytesMax, this.room)) return false
    this.inbound.set(packetId, message)
    this.#inboundBytes = bytes
    return true
  }

  /** Whether there was one. */
  forgetInbound(packetId: number): boolean {
    const message = this.inbound.get(packetId)
    if (message === undefined) return false
    this.#inboundBytes -= queuedBytes(message)
    return this.inbound.delete(packetId)
  }

  has(position: number): boolean {
    return this.#queue.has(position)
  }

  delete(position: number): void {
    const message = this.#queue.get(position)
    if (message === undefined) return
    this.#bytes -= queuedBytes(message)
    this.#queue.delete(position)
  }

  read(fromPosition: number, messagesMax: number, bytesMax: number): QueuedMessage[] {
    const found: QueuedMessage[] = []
    let bytes = 0
    let position = Math.max(fromPosition, this.#oldest())
    for (; position <= this.#last && found.length < messagesMax; position += 1) {
      const message = this.#queue.get(position)
      if (message === undefined) continue
      bytes += queuedBytes(message)
      if (bytes > bytesMax && found.length > 0) break
      found.push({ position, message })
    }
    return found
  }

  #bytesMax({ queueBytesMax }: QueueBounds): number {
    return Math.min(queueBytesMax, this.room)
  }

  /** Positions settled out of order leave holes; the first one that is still there moves past them once. */
  #oldest(): number {
    while (this.#first <= this.#last && !this.#queue.has(this.#first)) this.#first += 1
    return this.#first
  }
}
