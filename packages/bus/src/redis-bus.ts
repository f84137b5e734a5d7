/**
 * The bus on Redis: two fixed channels of mqemitter-redis, so Redis does the same work however many
 * filters the clients have. Messages of one event-loop turn travel in one envelope.
 *
 * In: `publish`, `notify`. Out: handlers. Bounds: `pendingMessagesMax` and `pendingBytesMax` of messages that
 * Redis has not taken, and `timeoutMs` for one to be taken; at any of them `done` gets an error and the
 * publisher is not acknowledged. What Redis pub/sub loses while a subscription is down, or because this node
 * takes its messages too slowly (`client-output-buffer-limit pubsub`), is lost for live subscribers;
 * `onResync` says when.
 */
import { randomUUID } from 'node:crypto'
import {
  connectOrFail,
  createRedis,
  keysWith,
  startHeartbeat,
  TurnQueue,
  type Keys,
  type Outcome,
  type Redis,
  type RedisSettings,
} from '@breakwater/redis'
import type { Bus, Done, Notice } from './bus.ts'
import { RedisChannels } from './redis-channels.ts'
import { decodeMessages, encodeMessages } from './envelope.ts'
import type { Message } from './message.ts'
import { SenderLog } from './sender-log.ts'

export interface RedisBusOptions {
  readonly timeoutMs: number
  readonly pendingMessagesMax?: number
  readonly pendingBytesMax?: number
  /** Faults that nobody awaits: a connection that dropped, an envelope of a newer version. */
  readonly onFault: (error: Error) => void
  /** An envelope of messages was sent to, or came from, other nodes. */
  readonly onFrame?: (direction: 'in' | 'out') => void
}

const PENDING_MESSAGES_MAX = 250_000
const PENDING_BYTES_MAX = 64 * 1_048_576
const PENDING_NOTICES_MAX = 100_000
/** Far below the 32 MiB at which Redis, as it is delivered, throws a subscriber out. */
const FRAME_BYTES_MAX = 1_048_576
const FRAME_ITEMS_MAX = 1_000
const CLOSE_TIMEOUT_MS = 1_000
const TAKEN: Outcome = {}

/** @throws {Error} one line when Redis cannot be reached */
export async function createRedisBus(
  settings: RedisSettings,
  options: RedisBusOptions,
): Promise<Bus> {
  const publisher = createRedis(settings, 'data')
  const subscriber = createRedis(settings, 'subscriber')
  try {
    await connectOrFail(publisher, settings)
    await connectOrFail(subscriber, settings)
    const bus = new RedisBus(publisher, subscriber, keysWith(settings.prefix), options)
    await bus.listen()
    return bus
  } catch (error) {
    publisher.disconnect()
    subscriber.disconnect()
    throw error
  }
}

class RedisBus implements Bus {
  readonly nodeId: string = randomUUID()
  readonly clustered = true
  readonly #publisher: Redis
  readonly #subscriber: Redis
  readonly #keys: Keys
  readonly #options: RedisBusOptions
  readonly #channels: RedisChannels
  readonly #messages: TurnQueue<Message>
  readonly #notices: TurnQueue<string>
  readonly #senders = new SenderLog()
  readonly #heartbeats: readonly Disposable[]
  #closed = false
  #messageHandler: ((message: Message) => void) | undefined
  #noticeHandler: ((notice: Notice) => void) | undefined
  #resyncHandler: (() => void) | undefined

  constructor(publisher: Redis, subscriber: Redis, keys: Keys, options: RedisBusOptions) {
    const { timeoutMs, onFault } = options
    this.#publisher = publisher
    this.#subscriber = subscriber
    this.#keys = keys
    this.#options = options
    this.#channels = new RedisChannels(publisher, subscriber, onFault)
    const bounds = {
      cut: () => publisher.disconnect(true),
      onFault,
      timeoutMs,
      batchItemsMax: FRAME_ITEMS_MAX,
      batchBytesMax: FRAME_BYTES_MAX,
      bytesMax: options.pendingBytesMax ?? PENDING_BYTES_MAX,
    }
    this.#messages = new TurnQueue<Message>({
      ...bounds,
      itemsMax: options.pendingMessagesMax ?? PENDING_MESSAGES_MAX,
      send: async (messages, first) => {
        await this.#send(keys.busMessages, encodeMessages(messages), first)
        options.onFrame?.('out')
        return messages.map(() => TAKEN)
      },
    })
    this.#notices = new TurnQueue<string>({
      ...bounds,
      itemsMax: PENDING_NOTICES_MAX,
      send: async (notices, first) => {
        await this.#send(keys.busNotices, Buffer.from(`[${notices.join(',')}]`), first)
        return notices.map(() => TAKEN)
      },
    })
    this.#heartbeats = [publisher, subscriber].map((redis) => startHeartbeat(redis, timeoutMs))
  }

  async listen(): Promise<void> {
    await this.#channels.subscribe(this.#keys.busMessages, (frame) => {
      if (frame.from === this.nodeId) return
      this.#options.onFrame?.('in')
      for (const [index, message] of decodeMessages(frame.payload).entries())
        if (this.#senders.isNew('messages', frame.from, frame.first + index))
          this.#hand(this.#messageHandler, message)
    })
    await this.#channels.subscribe(this.#keys.busNotices, (frame) => {
      if (frame.from === this.nodeId) return
      for (const [index, notice] of (JSON.parse(frame.payload.toString()) as Notice[]).entries())
        if (this.#senders.isNew('notices', frame.from, frame.first + index))
          this.#hand(this.#noticeHandler, notice)
    })
    // The first subscription is up; each later `ready` follows a time in which something may be missed.
    this.#subscriber.on('ready', () => void this.#resync())
  }

  publish(message: Message, done: Done): void {
    this.#messages.push(message, message.bytes, (error) => done(error))
  }

  async notify(notice: Notice): Promise<void> {
    const text = JSON.stringify(notice)
    await new Promise<void>((resolve, reject) => {
      this.#notices.push(text, text.length, (error) =>
        error === undefined ? resolve() : reject(error),
      )
    })
  }

  onMessage(handler: (message: Message) => void): void {
    this.#messageHandler = handler
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#noticeHandler = handler
  }

  onResync(handler: () => void): void {
    this.#resyncHandler = handler
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const impatience = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    if (this.#publisher.status === 'ready')
      await Promise.race([Promise.all([this.#messages.settled(), this.#notices.settled()]), late])
    clearTimeout(impatience)
    this.#closed = true
    this.#messages.close()
    this.#notices.close()
    for (const heartbeat of this.#heartbeats) heartbeat[Symbol.dispose]()
    this.#publisher.disconnect()
    this.#subscriber.disconnect()
  }

  async #send(channel: string, payload: Buffer, first: number): Promise<void> {
    await this.#channels.publish(channel, { from: this.nodeId, first, payload })
  }

  /** One message that its handler cannot deal with costs the others of the envelope nothing. */
  #hand<Item>(handler: ((item: Item) => void) | undefined, item: Item): void {
    if (this.#closed) return
    try {
      handler?.(item)
    } catch (error) {
      this.#options.onFault(error as Error)
    }
  }

  async #resync(): Promise<void> {
    try {
      await this.#channels.resubscribe()
    } catch (error) {
      if (this.#closed) return
      this.#options.onFault(error as Error)
      // Not deaf for ever: the next connection tries again.
      this.#subscriber.disconnect(true)
      return
    }
    if (!this.#closed) this.#resyncHandler?.()
  }
}
