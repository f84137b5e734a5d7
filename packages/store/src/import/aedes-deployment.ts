/**
 * What a deployment of aedes has in a Redis, read through the package that wrote it (aedes-persistence-redis):
 * sessions with their filters, their queues and QoS 2 exchanges, retained messages and wills. Nothing is
 * changed. A client has no entry there without a filter. Bounds: what one SCAN brings, WINDOW entries of a queue.
 */
import { createRequire } from 'node:module'
import { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { connectOrFail, createRedis, type Redis, type RedisSettings } from '@breakwater/redis'
import { AedesWindow, type AedesConnection } from './aedes-window.ts'
import type { StoredSubscription } from '../store.ts'

interface AedesPacket {
  readonly cmd?: string
  readonly topic?: string
  readonly payload?: Buffer | string
  readonly qos?: QoS
  readonly retain?: boolean
  /** Null where it has none yet. */
  readonly messageId?: number | null
  readonly clientId?: string
}

/** The part of the package's untyped class that is used. */
interface AedesPersistence {
  subscriptionsByClient(client: { id: string }): Promise<{ topic: string; qos: QoS }[]>
  outgoingStream(client: { id: string }): AsyncIterable<AedesPacket>
  createRetainedStream(filter: string): AsyncIterable<AedesPacket>
  streamWill(): AsyncIterable<AedesPacket>
}

const AsyncPersistence = createRequire(import.meta.url)(
  'aedes-persistence-redis/asyncPersistence.js',
) as new (options: { conn: AedesConnection }) => AedesPersistence

const SCAN_COUNT = 500
/** Entries of a queue, or wills, that are in memory at once. */
const WINDOW = 64

export interface AedesSession {
  readonly clientId: string
  readonly subscriptions: readonly StoredSubscription[]
  /** Packet ids of QoS 2 publishes that have taken effect and were not released yet. */
  readonly received: readonly number[]
}

/** An entry of a queue: `packetId` where it was sent before; `message` unless it was received and released. */
export interface AedesQueued {
  readonly message?: Message
  readonly packetId?: number
}

export interface AedesWill {
  readonly clientId: string
  readonly message: Message
}

/** `missing`: entries of the list whose content is not there any more. */
export interface AedesChunk<Entry> {
  readonly entries: readonly Entry[]
  readonly missing: number
}

export class AedesDeployment implements Disposable {
  readonly #settings: RedisSettings
  readonly #redis: Redis
  readonly #persistence: AedesPersistence

  /** `settings.prefix`: what the deployment puts before its keys; aedes itself puts nothing. */
  constructor(settings: RedisSettings) {
    this.#settings = settings
    this.#redis = createRedis(settings, 'control', { keyPrefix: settings.prefix, anyRole: true })
    this.#persistence = new AsyncPersistence({ conn: this.#redis })
  }

  /** @throws {Error} one line when Redis cannot be reached */
  async connect(): Promise<void> {
    await connectOrFail(this.#redis, this.#settings)
    // Who waits for an answer hears of it.
    this.#redis.on('error', () => undefined)
  }

  async count(): Promise<number> {
    return await this.#redis.scard('clients')
  }

  /** In chunks; a client id may come by twice. */
  async *clientIds(): AsyncIterable<readonly string[]> {
    let cursor = '0'
    do {
      const [next, clientIds] = await this.#redis.sscan('clients', cursor, 'COUNT', SCAN_COUNT)
      cursor = next
      if (clientIds.length > 0) yield clientIds
    } while (cursor !== '0')
  }

  async session(clientId: string): Promise<AedesSession> {
    const [found, received] = await Promise.all([
      this.#persistence.subscriptionsByClient({ id: clientId }),
      this.#redis.hkeys(`incoming:${encodeURIComponent(clientId)}`),
    ])
    return {
      clientId,
      subscriptions: found.map(({ topic, qos }) => ({ filter: topic, qos })),
      received: received.map(Number),
    }
  }

  /** Queued for one session, oldest first, in chunks. */
  async *queued(clientId: string): AsyncIterable<AedesChunk<AedesQueued>> {
    yield* this.#windows(
      (persistence) => persistence.outgoingStream({ id: clientId }),
      (packet) => {
        const { cmd, messageId } = packet
        const packetId = typeof messageId === 'number' ? { packetId: messageId } : {}
        // Released: what is left of it is its packet id.
        return cmd === 'pubrel' ? packetId : { ...packetId, message: messageOf(packet, false) }
      },
    )
  }

  /** A topic may come by twice. */
  async *retained(): AsyncIterable<Message> {
    for await (const packet of this.#persistence.createRetainedStream('#'))
      yield messageOf(packet, true)
  }

  /** Those of brokers that are gone, and of those that still run. */
  async *wills(): AsyncIterable<AedesChunk<AedesWill>> {
    yield* this.#windows(
      (persistence) => persistence.streamWill(),
      (packet) => ({
        clientId: packet.clientId ?? '',
        message: messageOf(packet, packet.retain === true),
      }),
    )
  }

  [Symbol.dispose](): void {
    this.#redis.disconnect()
  }

  async *#windows<Entry>(
    stream: (persistence: AedesPersistence) => AsyncIterable<AedesPacket>,
    entryOf: (packet: AedesPacket) => Entry,
  ): AsyncIterable<AedesChunk<Entry>> {
    const window = new AedesWindow(this.#redis, WINDOW)
    const persistence = new AsyncPersistence({ conn: window })
    do {
      const entries: Entry[] = []
      for await (const packet of stream(persistence)) entries.push(entryOf(packet))
      if (window.length > 0) yield { entries, missing: window.length - entries.length }
      window.next()
    } while (window.length === WINDOW)
  }
}

function messageOf({ topic = '', payload = '', qos = 0 }: AedesPacket, retain: boolean): Message {
  return new Message(topic, Buffer.from(payload as string), qos, retain)
}
