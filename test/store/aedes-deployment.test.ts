/** A deployment of aedes, made by the package that it uses, as the store reads it for an import. */
import { createRequire } from 'node:module'
import { AedesDeployment } from '@breakwater/store'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'

interface Subscription {
  readonly topic: string
  readonly qos: number
}

interface Writer {
  setup(broker: unknown): Promise<void>
  addSubscriptions(client: { id: string }, subscriptions: readonly Subscription[]): Promise<void>
  outgoingEnqueueCombi(queues: readonly { clientId: string }[], packet: object): Promise<void>
  storeRetained(packet: object): Promise<void>
}

// It is a dependency of the store, from where it is resolved.
const AsyncPersistence = createRequire(import.meta.resolve('@breakwater/store'))(
  'aedes-persistence-redis/asyncPersistence.js',
) as new (options: { conn: Redis }) => Writer

type OnPacket = (packet: unknown, done: () => void) => void

/** As much of a broker as the package asks for: what it publishes reaches its own subscription. */
function broker(): object {
  let listener: OnPacket = (_packet, done) => done()
  return {
    id: 'broker',
    subscribe: (_topic: string, on: OnPacket, done: () => void) => {
      listener = on
      done()
    },
    publish: (packet: unknown, done: () => void) => listener(packet, done),
  }
}

/** More than are read at once. */
const QUEUED = 150

let counter = 0
function packet(topic: string, payload: string, qos: number, retain = false): object {
  counter += 1
  const brokerId = 'broker'
  return {
    cmd: 'publish',
    topic,
    payload: Buffer.from(payload),
    qos,
    retain,
    brokerId,
    brokerCounter: counter,
  }
}

test('an aedes deployment is read: sessions, queued messages in order, and retained messages', async () => {
  await using server = await startRedis()
  const conn = new Redis(server.url, { keyPrefix: server.prefix })
  onTestFinished(() => conn.disconnect())
  const written = new AsyncPersistence({ conn })
  await written.setup(broker())
  await written.addSubscriptions({ id: 'a/ü' }, [
    { topic: 'x/+', qos: 1 },
    { topic: '#', qos: 0 },
  ])
  await written.addSubscriptions({ id: 'b' }, [{ topic: 'y', qos: 2 }])
  for (let index = 1; index <= QUEUED; index += 1)
    await written.outgoingEnqueueCombi(
      [{ clientId: 'a/ü' }, { clientId: 'b' }],
      packet('x/1', `${index}`, 1),
    )
  await written.storeRetained(packet('r/1', 'kept', 2, true))
  await written.storeRetained(packet('r/2', '\u0000', 0, true))

  const settings = { url: server.url, password: undefined, ca: undefined, prefix: server.prefix }
  using deployment = new AedesDeployment(settings)
  await deployment.connect()
  expect(await deployment.count()).toBe(2)
  const clientIds = (await Array.fromAsync(deployment.clientIds())).flat().toSorted()
  expect(await Promise.all(clientIds.map((id) => deployment.session(id)))).toEqual([
    {
      clientId: 'a/ü',
      subscriptions: expect.arrayContaining([
        { filter: 'x/+', qos: 1 },
        { filter: '#', qos: 0 },
      ]),
      received: [],
    },
    { clientId: 'b', subscriptions: [{ filter: 'y', qos: 2 }], received: [] },
  ])
  await conn.del('packet:broker:7')
  const before = await conn.lrange('outgoing:a%2F%C3%BC', 0, -1)
  const chunks = await Array.fromAsync(deployment.queued('a/ü'))
  expect(chunks.length).toBeGreaterThan(1)
  expect(chunks.reduce((sum, { missing }) => sum + missing, 0)).toBe(1)
  expect(
    chunks
      .flatMap(({ entries }) => entries)
      .map(({ message }) => `${message?.topic} ${message?.qos} ${message?.payload.toString()}`),
  ).toEqual(
    Array.from({ length: QUEUED }, (_, index) => `x/1 1 ${index + 1}`).filter(
      (_, index) => index !== 6,
    ),
  )
  // Nothing is changed, not even what cannot be read.
  expect(await conn.lrange('outgoing:a%2F%C3%BC', 0, -1)).toEqual(before)
  const retained = await Array.fromAsync(deployment.retained())
  expect(
    retained
      .map(({ topic, payload, qos, retain }) => [topic, payload.toString(), qos, retain])
      .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
  ).toEqual([
    ['r/1', 'kept', 2, true],
    ['r/2', '\u0000', 0, true],
  ])
})
