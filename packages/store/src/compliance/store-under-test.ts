import assert from 'node:assert/strict'
import { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import type { OwnedStore } from './owned-store.ts'
import type {
  Appended,
  OnFenced,
  PublishEffects,
  QueuedMessage,
  SessionFilters,
  Store,
  StoreBounds,
} from '../store.ts'

/** Of the test runner. */
export interface Suite {
  readonly describe: (name: string, body: () => void) => void
  readonly test: (name: string, body: () => Promise<void>) => void
}

export interface RawStores extends AsyncDisposable {
  /** Empty. */
  readonly store: Store
  /** Another node's store over the same data; the same one where there can be no other. */
  readonly other: Store
}

interface OpenOptions extends Partial<StoreBounds> {
  readonly onFenced?: OnFenced
}

export type OpenRaw = (options?: OpenOptions) => Promise<RawStores>

/** Each session belongs to the owner that opened it last, at either store. */
interface StoreUnderTest extends AsyncDisposable {
  readonly store: OwnedStore
  readonly other: OwnedStore
}

export type OpenStore = (options?: OpenOptions) => Promise<StoreUnderTest>

export function message(
  topic: string,
  payload: string | Buffer = '',
  { qos = 1, retain = false }: { qos?: QoS; retain?: boolean } = {},
): Message {
  return new Message(topic, Buffer.from(payload), qos, retain)
}

/** @throws {Error} what `done` was given */
export function append(store: Pick<Store, 'append'>, effects: PublishEffects): Promise<Appended> {
  return new Promise((resolve, reject) => {
    store.append(effects, (error, appended) =>
      error === undefined ? resolve(appended) : reject(error),
    )
  })
}

/** Queues one message for one session; returns its position. */
export async function enqueue(
  store: OwnedStore,
  clientId: string,
  payload: string | Buffer,
  qos: QoS = 1,
): Promise<number> {
  const { positions } = await append(store, {
    message: message('t', payload, { qos }),
    queues: [{ clientId, qos }],
  })
  return positions[0] ?? -1
}

/** Resolves when everything that was written before has taken effect. */
export async function written(store: OwnedStore): Promise<void> {
  await append(store, { message: message('t'), queues: [] })
  await called((done) => store.release('nobody', 1, 1, done))
}

export function readAll(store: OwnedStore, clientId: string): Promise<readonly QueuedMessage[]> {
  return store.readQueue(clientId, 1, 1_000_000, 1_000_000_000)
}

/** `position payload`, in the order of the queue. */
export async function queueOf(store: OwnedStore, clientId: string): Promise<string[]> {
  const found = await readAll(store, clientId)
  return found.map(({ position, message: { payload } }) => `${position} ${payload.toString()}`)
}

/** Everything that is retained, each topic once, in the order of the topics. */
export async function allRetained(store: OwnedStore): Promise<Message[]> {
  return await retainedOf(store, await retainedTopicsOf(store))
}

export async function retainedTopicsOf(store: OwnedStore): Promise<string[]> {
  const topics = new Set<string>()
  for await (const chunk of store.retainedTopics()) for (const topic of chunk) topics.add(topic)
  return [...topics].toSorted()
}

/** In the order of the topics, as many reads as it takes. */
export async function retainedOf(
  store: OwnedStore,
  topics: readonly string[],
  bytesMax: number = 1_000_000_000,
): Promise<Message[]> {
  const found = new Map<string, Message>()
  let rest = topics
  while (rest.length > 0) {
    const read = await store.readRetained(rest, bytesMax)
    assert.ok(read.rest.length < rest.length, 'a read looks at one topic at least')
    for (const retained of read.messages) {
      assert.ok(!found.has(retained.topic), `${retained.topic} twice`)
      found.set(retained.topic, retained)
    }
    rest = read.rest
  }
  return topics.flatMap((topic) => found.get(topic) ?? [])
}

/** All sessions that have filters; a session that comes by twice counts once. */
export async function filtersOf(store: OwnedStore): Promise<Map<string, SessionFilters>> {
  const found = new Map<string, SessionFilters>()
  for await (const chunk of store.allFilters())
    for (const session of chunk) found.set(session.clientId, session)
  return found
}

/** `filter qos`, sorted. */
export function listed({ subscriptions }: Pick<SessionFilters, 'subscriptions'>): string[] {
  return subscriptions.map(({ filter, qos }) => `${filter} ${qos}`).toSorted()
}

export function called(start: (done: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === undefined ? resolve() : reject(error)))
  })
}

/** The clock by which sessions expire has gone on. */
export async function nextMillisecond(): Promise<number> {
  const before = Date.now()
  while (Date.now() === before) await new Promise((resolve) => setTimeout(resolve, 1))
  return Date.now()
}
