/**
 * One conformance suite: the same tests against one broker per store, shared by all tests of a file.
 * Tests keep apart by unique client ids and topics, so nothing is cleaned up between them.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { startTarget, targetName, type Target, type TargetOptions } from '../kit/target.ts'
import { WireClient, type WireOptions } from '../kit/wire-client.ts'
import { encodePuback, encodePublish, type ConnectFields } from '../kit/wire-encoder.ts'

export const STORES = ['memory', 'redis'] as const
type StoreName = (typeof STORES)[number]

export interface SuiteOptions extends Omit<TargetOptions, 'redis'> {
  /** Default: memory only, for what never reaches a store. */
  readonly stores?: readonly StoreName[]
}

/** The broker of a suite, as its tests use it. */
export interface Broker {
  readonly target: Target
  /** A socket without a CONNECT. */
  open(options?: WireOptions): Promise<WireClient>
  /** A client that the broker has accepted; its client id is unique unless one is given. */
  connect(fields?: ConnectFields): Promise<WireClient>
  /** As `connect`, for a session that outlives the connection. */
  resume(clientId: string, fields?: ConnectFields): Promise<WireClient>
}

let lastName = 0

/** A client id or topic that no other test uses; at most 23 characters with a short start. */
export function unique(start: string): string {
  lastName += 1
  return `${start}-${process.pid.toString(36)}-${lastName.toString(36)}`
}

export function conformance(
  title: string,
  options: SuiteOptions,
  define: (broker: Broker) => void,
): void {
  const { stores = ['memory'], ...targetOptions } = options
  for (const store of stores) {
    // Mosquitto has one store, which it keeps in memory.
    if (store === 'redis' && targetName === 'mosquitto') continue
    describe(`${title} (${targetName}, ${store})`, () => {
      const resources = new AsyncDisposableStack()
      let target: Target | undefined
      beforeAll(async () => {
        const redis = store === 'redis' ? resources.use(await startRedis()) : undefined
        target = resources.use(await startTarget({ ...targetOptions, ...(redis ? { redis } : {}) }))
      })
      afterAll(() => resources.disposeAsync())
      define(brokerOf(() => target))
    })
  }
}

function brokerOf(started: () => Target | undefined): Broker {
  const broker: Broker = {
    get target() {
      const target = started()
      if (!target) throw new Error('the broker of this suite has not been started')
      return target
    },
    open: (options) => WireClient.open(broker.target, options),
    async connect(fields = {}) {
      const client = await broker.open()
      const connack = await client.connect({ clientId: unique('c'), ...fields })
      expect(connack.returnCode).toBe(0)
      return client
    },
    resume: (clientId, fields = {}) => broker.connect({ clean: false, ...fields, clientId }),
  }
  return broker
}

/**
 * Shows that nothing else was delivered to `subscriber`: a message that `publisher` sends behind
 * everything before is the next one there.
 */
export async function expectNothingDelivered(
  subscriber: WireClient,
  publisher: WireClient,
): Promise<void> {
  const topic = unique('fence')
  await subscriber.subscribe([topic, 1])
  const packetId = publisher.nextPacketId()
  publisher.send(encodePublish({ topic, qos: 1, packetId }))
  const message = await subscriber.expect('publish')
  expect(message.topic).toBe(topic)
  subscriber.send(encodePuback(message.packetId))
  await publisher.take('puback')
  await subscriber.unsubscribe(topic)
}

/**
 * What a client has published at QoS 0 has taken effect: its next control packet is answered behind it. Nothing
 * orders it before what another connection does.
 */
export async function effective(publisher: WireClient): Promise<void> {
  await publisher.subscribe([unique('fence'), 0])
}
