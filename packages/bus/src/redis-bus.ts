/**
 * The bus on Redis: two fixed channels of mqemitter-redis, so Redis does the same work however many
 * filters the clients have. Messages of one event-loop turn travel in one envelope.
 *
 * In: `publish`, `notify`. Out: handlers. Bounds: `pendingBytesMax` of messages that Redis has not taken,
 * and `timeoutMs` for one to be taken; at either, `done` gets an error and the publisher is not
 * acknowledged. What Redis pub/sub loses while a subscription is down is lost for live subscribers;
 * `onResync` says when.
 */
import { randomUUID } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import {
  connectOrFail,
  createRedis,
  keysWith,
  type Keys,
  type RedisSettings,
} from '@breakwater/redis'
import createEmitter, { type MQEmitterRedis } from 'mqemitter-redis'
import type { Bus, Done, Notice } from './bus.ts'
import { decodeMessages, encodeMessages } from './envelope.ts'
import type { Message } from './message.ts'

export interface RedisBusOptions {
  readonly timeoutMs: number
  readonly pendingBytesMax?: number
  /** Faults that nobody awaits: a connection that dropped, an envelope of a newer version. */
  readonly onFault: (error: Error) => void
}

const PENDING_BYTES_MAX = 64 * 1_048_576
const FRAME_MESSAGES_MAX = 1_000
const RETRY_MS = 100
const CLOSE_TIMEOUT_MS = 1_000

interface Frame {
  readonly topic: string
  readonly from: string
  readonly payload: Buffer
}

interface Waiting {
  readonly message: Message
  readonly done: Done
  readonly deadline: number
}

export async function createRedisBus(
  settings: RedisSettings,
  options: RedisBusOptions,
): Promise<Bus> {
  const publisher = createRedis(settings, 'data')
  const subscriber = createRedis(settings, 'subscriber')
  await connectOrFail(publisher, settings)
  try {
    await connectOrFail(subscriber, settings)
  } catch (error) {
    publisher.disconnect()
    throw error
  }
  const emitter = createEmitter({
    pubConn: publisher,
    subConn: subscriber,
    matchEmptyLevels: true,
  })
  // The package's types leave out its `state`, an EventEmitter that must have a listener for errors.
  ;(emitter as unknown as { state: EventEmitter }).state.on('error', options.onFault)
  const disconnect = (): void => {
    publisher.disconnect()
    subscriber.disconnect()
  }
  const bus = new RedisBus(emitter, disconnect, keysWith(settings.prefix), options)
  await bus.listen()
  // The first subscription is up; each later `ready` follows a time in which something may be missed.
  subscriber.on('ready', () => bus.resync())
  return bus
}

class RedisBus implements Bus {
  readonly nodeId: string = randomUUID()
  readonly clustered = true
  readonly #emitter: MQEmitterRedis
  readonly #disconnect: () => void
  readonly #keys: Keys
  readonly #options: RedisBusOptions
  readonly #pendingBytesMax: number
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #flushing = false
  #closed = false
  #messageHandler: ((message: Message) => void) | undefined
  #noticeHandler: ((notice: Notice) => void) | undefined
  #resyncHandler: (() => void) | undefined

  constructor(
    emitter: MQEmitterRedis,
    disconnect: () => void,
    keys: Keys,
    options: RedisBusOptions,
  ) {
    this.#emitter = emitter
    this.#disconnect = disconnect
    this.#keys = keys
    this.#options = options
    this.#pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX
  }

  async listen(): Promise<void> {
    await Promise.all([
      this.#on(this.#keys.busMessages, (payload) => {
        for (const message of decodeMessages(payload)) this.#messageHandler?.(message)
      }),
      this.#on(this.#keys.busNotices, (payload) => {
        this.#noticeHandler?.(JSON.parse(payload.toString()) as Notice)
      }),
    ])
  }

  resync(): void {
    this.#resyncHandler?.()
  }

  publish(message: Message, done: Done): void {
    if (this.#closed || this.#waitingBytes + message.bytes > this.#pendingBytesMax) {
      done(new Error(this.#closed ? 'the bus is closed' : 'the bus is full'))
      return
    }
    this.#waiting.push({ message, done, deadline: performance.now() + this.#options.timeoutMs })
    this.#waitingBytes += message.bytes
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => void this.#flush())
  }

  async notify(notice: Notice): Promise<void> {
    await this.#emit(this.#keys.busNotices, Buffer.from(JSON.stringify(notice)))
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
    this.#closed = true
    // QUIT is answered at once by a Redis that is there; without one it would wait for ever.
    const impatience = setTimeout(this.#disconnect, CLOSE_TIMEOUT_MS)
    await new Promise<void>((resolve) => this.#emitter.close(resolve))
    clearTimeout(impatience)
  }

  /** One envelope at a time, so that a retry cannot overtake; what arrives meanwhile forms the next. */
  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, FRAME_MESSAGES_MAX)
      try {
        await this.#emit(this.#keys.busMessages, encodeMessages(batch.map((item) => item.message)))
        this.#settle(batch)
      } catch (error) {
        const now = performance.now()
        const late = batch.findIndex((item) => item.deadline > now && !this.#closed)
        this.#settle(late === -1 ? batch : batch.slice(0, late), error as Error)
        if (late !== -1) await delay(RETRY_MS)
      }
    }
    this.#flushing = false
  }

  #settle(batch: readonly Waiting[], error?: Error): void {
    this.#waiting.splice(0, batch.length)
    for (const { message, done } of batch) {
      this.#waitingBytes -= message.bytes
      done(error)
    }
  }

  #emit(topic: string, payload: Buffer): Promise<void> {
    const frame: Frame = { topic, from: this.nodeId, payload }
    return new Promise((resolve, reject) => {
      this.#emitter.emit(frame as never, (error?: Error | null) =>
        error === null || error === undefined ? resolve() : reject(error),
      )
    })
  }

  #on(topic: string, handler: (payload: Buffer) => void): Promise<void> {
    return new Promise((resolve) => {
      this.#emitter.on(
        topic,
        (message, done) => {
          const { from, payload } = message as unknown as Frame
          if (from !== this.nodeId) {
            try {
              handler(payload)
            } catch (error) {
              this.#options.onFault(error as Error)
            }
          }
          done()
        },
        resolve,
      )
    })
  }
}
