/**
 * What a deployment of aedes has in a Redis, read through the package that wrote it (aedes-persistence-redis):
 * sessions with their filters, their queued messages and the retained messages. Nothing is changed. A client
 * has no entry there without a filter, and one outgoing list is read up to `queueMessagesMax`.
 */
import { createRequire } from 'node:module'
import { Message, type QoS } from '@breakwater/bus'
import { createRedis, type Redis, type RedisSettings } from '@breakwater/redis'
import type { SessionFilters } from './store.ts'

interface AedesPacket {
  readonly cmd: string
  readonly topic?: string
  readonly payload?: Buffer | string
  readonly qos?: QoS
  readonly retain?: boolean
  readonly messageId?: number
}

/** The part of the package's untyped class that is used. */
interface AedesPersistence {
  subscriptionsByClient(client: { id: string }): Promise<{ topic: string; qos: QoS }[]>
  outgoingStream(client: { id: string }): AsyncIterable<AedesPacket>
  createRetainedStream(filter: string): AsyncIterable<AedesPacket>
}

const AsyncPersistence = createRequire(import.meta.url)(
  'aedes-persistence-redis/asyncPersistence.js',
) as new (options: { conn: Redis; maxSessionDelivery: number }) => AedesPersistence

const SCAN_COUNT = 500

export interface AedesQueuedMessage {
  readonly clientId: string
  readonly message: Message
}

export class AedesDeployment implements Disposable {
  readonly #redis: Redis
  readonly #persistence: AedesPersistence

  /** `settings.prefix`: what the deployment puts before its keys; aedes itself puts nothing. */
  constructor(settings: RedisSettings, { queueMessagesMax }: { queueMessagesMax: number }) {
    this.#redis = createRedis(settings, 'control', { keyPrefix: settings.prefix })
    this.#persistence = new AsyncPersistence({
      conn: this.#redis,
      maxSessionDelivery: queueMessagesMax,
    })
  }

  async connect(): Promise<void> {
    await this.#redis.connect()
  }

  /** In chunks; a session may come by twice. */
  async *sessions(): AsyncIterable<readonly SessionFilters[]> {
    let cursor = '0'
    do {
      const [next, clientIds] = await this.#redis.sscan('clients', cursor, 'COUNT', SCAN_COUNT)
      cursor = next
      if (clientIds.length > 0) yield await Promise.all(clientIds.map((id) => this.#session(id)))
    } while (cursor !== '0')
  }

  /** Queued for one session, oldest first; not what was released and waits for PUBCOMP alone. */
  async *queued(clientId: string): AsyncIterable<AedesQueuedMessage> {
    for await (const packet of this.#persistence.outgoingStream({ id: clientId })) {
      if (packet.cmd === 'publish') yield { clientId, message: messageOf(packet, false) }
    }
  }

  async *retained(): AsyncIterable<Message> {
    for await (const packet of this.#persistence.createRetainedStream('#'))
      yield messageOf(packet, true)
  }

  [Symbol.dispose](): void {
    this.#redis.disconnect()
  }

  async #session(clientId: string): Promise<SessionFilters> {
    const found = await this.#persistence.subscriptionsByClient({ id: clientId })
    return { clientId, subscriptions: found.map(({ topic, qos }) => ({ filter: topic, qos })) }
  }
}

function messageOf({ topic = '', payload = '', qos = 0 }: AedesPacket, retain: boolean): Message {
  return new Message(topic, Buffer.from(payload as string), qos, retain)
}
