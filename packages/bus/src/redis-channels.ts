/**
 * Frames over a channel of Redis, by mqemitter-redis. The package decodes whatever is published to its
 * channels inside the socket's event: what it cannot read is a fault here, not the end of the process.
 */
import type { EventEmitter } from 'node:events'
import type { Redis } from '@breakwater/redis'
import createEmitter, { type MQEmitterRedis } from 'mqemitter-redis'

export interface Frame {
  readonly from: string
  readonly payload: Buffer
}

type FrameHandler = (frame: Frame) => void

export class RedisChannels {
  readonly #emitter: MQEmitterRedis
  readonly #publisher: Redis
  readonly #subscriber: Redis
  readonly #onFault: (error: Error) => void
  readonly #topics: string[] = []

  constructor(publisher: Redis, subscriber: Redis, onFault: (error: Error) => void) {
    this.#publisher = publisher
    this.#subscriber = subscriber
    this.#onFault = onFault
    this.#emitter = createEmitter({ pubConn: publisher, subConn: subscriber })
    // The package's types leave out its `state`, an EventEmitter that must have a listener for errors.
    ;(this.#emitter as unknown as { state: EventEmitter }).state.on('error', onFault)
    this.#guard()
  }

  /** @throws {Error} Redis did not take it, or its answer was lost */
  async publish(topic: string, frame: Frame): Promise<void> {
    if (this.#publisher.status !== 'ready') throw new Error('no connection')
    await new Promise<void>((resolve, reject) => {
      this.#emitter.emit({ topic, ...frame } as never, (error?: Error | null) => {
        if (error === null || error === undefined) resolve()
        // ioredis puts the loss of a connection in terms of its own retries.
        else if (error.name === 'MaxRetriesPerRequestError')
          reject(new Error('connection lost', { cause: error }))
        else reject(error)
      })
    })
  }

  async subscribe(topic: string, handler: FrameHandler): Promise<void> {
    this.#topics.push(topic)
    await new Promise<void>((resolve) => {
      this.#emitter.on(
        topic,
        (message, done) => {
          handler(message as unknown as Frame)
          done()
        },
        resolve,
      )
    })
  }

  /** How many listen to each of these channels now. @throws {Error} Redis did not answer */
  async listeners(topics: readonly string[]): Promise<readonly number[]> {
    const counts = (await this.#publisher.pubsub('NUMSUB', ...topics)) as (string | number)[]
    return topics.map((_, index) => Number(counts[index * 2 + 1]))
  }

  /**
   * On a new connection. Nothing is missed any more once this resolves.
   *
   * @throws {Error} the connection was lost again, or Redis refused
   */
  async resubscribe(): Promise<void> {
    await this.#subscriber.subscribe(...this.#topics)
  }

  #guard(): void {
    const handlers = this.#subscriber.listeners('messageBuffer')
    this.#subscriber.removeAllListeners('messageBuffer')
    this.#subscriber.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
      try {
        for (const handle of handlers) handle(channel, payload)
      } catch (error) {
        this.#onFault(error as Error)
      }
    })
  }
}
