/** Retained messages in memory, with the bounds that a store in Redis has: per bucket of topics. */
import type { Message } from '@breakwater/bus'
import { bucketOf, RETAINED_BUCKETS } from '@breakwater/redis'
import { perBucket, type ShareBounds } from '../share-bounds.ts'
import { queuedBytes, type RetainedRead } from '../store.ts'

interface Retained {
  readonly message: Message
  readonly account: string | undefined
}

interface Usage {
  messages: number
  bytes: number
}

interface Bucket extends Usage {
  readonly accounts: Map<string, Usage>
}

export class MemoryRetained {
  readonly #shares: ShareBounds
  readonly #retained = new Map<string, Retained>()
  readonly #buckets: Bucket[] = Array.from({ length: RETAINED_BUCKETS }, () => ({
    messages: 0,
    bytes: 0,
    accounts: new Map<string, Usage>(),
  }))

  constructor(shares: ShareBounds) {
    this.#shares = shares
  }

  get bytes(): number {
    return this.#buckets.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  topics(): string[] {
    return [...this.#retained.keys()]
  }

  get(topic: string): Message | undefined {
    return this.#retained.get(topic)?.message
  }

  has(topic: string): boolean {
    return this.#retained.has(topic)
  }

  /** Whether a message may not be retained. */
  refuses(message: Message, account: string | undefined): boolean {
    if (message.payload.length === 0) return false
    const { topic } = message
    const before = this.#retained.get(topic)
    const bytes = queuedBytes(message)
    const grown = bytes - (before === undefined ? 0 : queuedBytes(before.message))
    const bucket = this.#bucketOf(topic)
    const { retainedMessagesMax, retainedBytesMax } = this.#shares
    if (before === undefined && bucket.messages >= perBucket(retainedMessagesMax)) return true
    if (grown > 0 && bucket.bytes + grown > perBucket(retainedBytesMax)) return true
    if (account === undefined) return false
    const { retainedMessagesPerUserMax, retainedBytesPerUserMax } = this.#shares
    const own = bucket.accounts.get(account) ?? { messages: 0, bytes: 0 }
    const isOwn = before !== undefined && before.account === account
    if (isOwn) return grown > 0 && own.bytes + grown > perBucket(retainedBytesPerUserMax)
    return (
      own.messages >= perBucket(retainedMessagesPerUserMax) ||
      own.bytes + bytes > perBucket(retainedBytesPerUserMax)
    )
  }

  /** Whether the topic is new or gone; an empty payload clears [MQTT-3.3.1-10]. */
  retain(message: Message, account: string | undefined): boolean {
    const { topic, payload } = message
    const before = this.#retained.get(topic)
    if (before !== undefined) this.#count(before, -1)
    if (payload.length === 0) return this.#retained.delete(topic)
    const kept = { message: message.detached(), account }
    this.#retained.set(topic, kept)
    this.#count(kept, 1)
    return before === undefined
  }

  read(topics: readonly string[], bytesMax: number): RetainedRead {
    const messages: Message[] = []
    let bytes = 0
    for (const [index, topic] of topics.entries()) {
      const message = this.get(topic)
      if (message === undefined) continue
      bytes += message.bytes
      if (bytes > bytesMax && messages.length > 0) return { messages, rest: topics.slice(index) }
      messages.push(message)
    }
    return { messages, rest: [] }
  }

  clear(): void {
    this.#retained.clear()
  }

  #bucketOf(topic: string): Bucket {
    return this.#buckets[bucketOf(topic, RETAINED_BUCKETS)] as Bucket
  }

  #count({ message, account }: Retained, sign: 1 | -1): void {
    const bucket = this.#bucketOf(message.topic)
    const usages: Usage[] = [bucket]
    if (account !== undefined) {
      const own = bucket.accounts.get(account) ?? { messages: 0, bytes: 0 }
      bucket.accounts.set(account, own)
      usages.push(own)
      if (sign === -1 && own.messages === 1) bucket.accounts.delete(account)
    }
    for (const usage of usages) {
      usage.messages += sign
      usage.bytes += sign * queuedBytes(message)
    }
  }
}
