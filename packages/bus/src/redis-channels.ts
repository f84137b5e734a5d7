/**
 * Frames over a channel of Redis, by mqemitter-redis. The package decodes whatever is published to its
 * channels inside the socket's event: what it cannot read is a fault here, not the end of the process.
 */
import type { EventEmitter } from 'node:events'
import type { Redis, Servers } from '@breakwater/redis'
import createEmitter, { type MQEmitterRedis } from 'mqemitter-redis'

export interface Frame {
  readonly from: string
  readonly payload: Buffer
}

export interface ChannelsTold {
  readonly onFault: (error: Error) => void
  /** Something came that is no frame, or that its handler cannot read. */
  readonly onUnreadable: (error: Error) => void
}

type FrameHandler = (frame: Frame) => void

export class RedisChannels {
  readonly #emitter: MQEmitterRedis
  readonly #publishers: Servers
  readonly #subscriber: Redis
  readonly #onUnreadable: (error: Error) => void
  readonly #topics: string[] = []

  constructor(publishers: Servers, subscriber: Redis, told: ChannelsTold) {
    const { onFault, onUnreadable } = told
    this.#publishers = publishers
    this.#subscriber = subscriber
    this.#onUnreadable = onUnreadable
    // All that the package does with it: whoever listens to a channel is where its name lies.
    const pubConn = {
      on: () => pubConn,
      publish: (channel: string, payload: Buffer) =>
        this.#publisherOf(channel).publish(channel, payload),
    }
    this.#emitter = createEmitter({ pubConn: pubConn as unknown as Redis, subConn: subscriber })
    // The package's types leave out its `state`, an EventEmitter that must have a listener for errors.
    ;(this.#emitter as unknown as { state: EventEmitter }).state.on('error', onFault)
    this.#guard()
  }

  /** @throws {Error} Redis did not take it, or its answer was lost */
  async publish(topic: string, frame: Frame): Promise<void> {
    this.#publisherOf(topic)
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
    const asked = new Map<Redis, string[]>()
    for (const topic of topics) {
      const publisher = this.#publisherOf(topic)
      const others = asked.get(publisher)
      if (others === undefined) asked.set(publisher, [topic])
      else others.push(topic)
    }
    const answers = await Promise.all(
      [...asked].map(([publisher, some]) => publisher.pubsub('NUMSUB', ...some)),
    )
    const counts = (answers as (string | number)[][]).flat()
    const found = new Map<unknown, number>()
    for (let index = 0; index < counts.length; index += 2)
      found.set(counts[index], Number(counts[index + 1]))
    return topics.map((topic) => found.get(topic) ?? 0)
  }

  /**
   * On a new connection. Nothing is missed any more once this resolves.
   *
   * @throws {Error} the connection was lost again, or Redis refused
   */
  async resubscribe(): Promise<void> {
    await this.#subscriber.subscribe(...this.#topics)
  }

  /** @throws {Error} it is not connected */
  #publisherOf(topic: string): Redis {
    const publisher = this.#publishers.of(topic)
    if (publisher?.status !== 'ready') throw new Error('no connection')
    return publisher
  }

  #guard(): void {
    const handlers = this.#subscriber.listeners('messageBuffer')
    this.#subscriber.removeAllListeners('messageBuffer')
    this.#subscriber.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
      try {
        for (const handle of handlers) handle(channel, payload)
      } catch (error) {
        this.#onUnreadable(error as Error)
      }
    })
  }
}
