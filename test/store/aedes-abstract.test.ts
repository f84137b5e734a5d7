import assert from 'node:assert'
import { AedesPersistence } from '@breakwater/broker'
import { topicMatchesFilter, type QoS } from '@breakwater/mqtt'
import { MemoryStore } from '@breakwater/store'
import { OwnedStore } from '@breakwater/store/compliance'
import type { CaseContext } from 'aedes-persistence/abstract.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { aedesCases, EXCLUSIONS } from './aedes-suite.ts'
import { queueBounds, redisStores } from './redis-stores.ts'

/** Options of MQTT 5, with their meaning in MQTT 3.1.1, which does not have them. */
const MQTT5_OPTIONS = { rh: 0, rap: true, nl: false }

interface SuiteSubscription {
  readonly topic: string
  readonly qos: QoS
}

/**
 * The persistence that aedes is given, for a suite that asks more than aedes does: it knows no CONNECT, so a
 * session is opened with its first SUBSCRIBE; what the session's owner stores and aedes never asks (who
 * matches a topic, how many there are) is answered from the store.
 */
class PersistenceUnderSuite {
  readonly #persistence = new AedesPersistence()
  readonly #store: OwnedStore
  readonly #destroyed: () => Promise<void>

  constructor(store: OwnedStore, destroyed: () => Promise<void>) {
    this.#store = store
    this.#destroyed = destroyed
  }

  async setup(): Promise<void> {
    await this.#persistence.setup()
  }

  async addSubscriptions(
    { id }: { id: string },
    added: readonly SuiteSubscription[],
  ): Promise<void> {
    await this.#store.openSession(id, true)
    await this.#store.addSubscriptions(
      id,
      added.map(({ topic, qos }) => ({ filter: topic, qos })),
    )
  }

  async removeSubscriptions({ id }: { id: string }, filters: readonly string[]): Promise<void> {
    await this.#store.removeSubscriptions(id, filters)
  }

  async cleanSubscriptions({ id }: { id: string }): Promise<void> {
    await this.#store.openSession(id, false)
    await this.#persistence.cleanSubscriptions()
  }

  async subscriptionsByClient(client: { id: string }): Promise<SuiteSubscription[]> {
    const { id } = client
    const stored = await this.#store.subscriptions(id)
    const found = await this.#persistence.during(id, stored, () =>
      this.#persistence.subscriptionsByClient(client),
    )
    return found.map((subscription) => ({ ...subscription, ...MQTT5_OPTIONS }))
  }

  async subscriptionsByTopic(topic: string): Promise<unknown[]> {
    return (await this.#all())
      .filter(({ filter, qos }) => qos > 0 && topicMatchesFilter(topic, filter))
      .toSorted((a, b) => b.filter.length - a.filter.length)
      .map(({ clientId, filter, qos }) => ({ clientId, topic: filter, qos, ...MQTT5_OPTIONS }))
  }

  async *getClientList(topic: string): AsyncIterable<string> {
    for (const { clientId } of (await this.#all())
      .filter(({ filter }) => filter === topic)
      .toSorted((a, b) => a.clientId.localeCompare(b.clientId)))
      yield clientId
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    const all = await this.#all()
    return {
      subsCount: all.filter(({ qos }) => qos > 0).length,
      clientsCount: new Set(all.map(({ clientId }) => clientId)).size,
    }
  }

  async destroy(): Promise<void> {
    await this.#persistence.destroy()
    await this.#destroyed()
  }

  async #all(): Promise<{ clientId: string; filter: string; qos: QoS }[]> {
    const chunks = await Array.fromAsync(this.#store.allFilters())
    return chunks
      .flat()
      .flatMap(({ clientId, subscriptions }) =>
        subscriptions.map((subscription) => ({ clientId, ...subscription })),
      )
  }
}

let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis[Symbol.asyncDispose]())

const stores = {
  memory: async () => {
    const store = new OwnedStore(new MemoryStore(queueBounds))
    return new PersistenceUnderSuite(store, async () => await store[Symbol.asyncDispose]())
  },
  Redis: async () => {
    const group = redisStores(redis)
    return new PersistenceUnderSuite(
      await group.open(),
      async () => await group[Symbol.asyncDispose](),
    )
  },
}

const excluded = new Set(EXCLUSIONS.flatMap(({ cases }) => cases))

describe.each(Object.entries(stores))(
  'the persistence suite of aedes over the %s store',
  (_, persistence) => {
    for (const { name, run } of aedesCases(persistence)) {
      if (excluded.has(name)) continue
      test(name, async () => {
        const { context, check } = counting()
        await run(context)
        check()
      })
    }
  },
)

describe('the cases of the persistence suite of aedes', () => {
  const names = aedesCases(stores.memory).map(({ name }) => name)

  test('have distinct names', () => {
    expect(new Set(names).size).toBe(names.length)
  })

  test('are run or excluded; every exclusion names an existing case', () => {
    expect([...excluded].filter((name) => !names.includes(name))).toEqual([])
    expect(names.filter((name) => !excluded.has(name))).toEqual([
      'verify setup() method is async',
      'store and look up subscriptions by client',
      'remove subscriptions by client',
      'store and look up subscriptions by topic',
      'get client list after subscriptions',
      'get client list after an unsubscribe',
      'get subscriptions list after an unsubscribe',
      'QoS 0 subscriptions, restored but not matched',
      'clean subscriptions',
      'clean subscriptions with no active subscriptions',
      'same topic, different QoS',
      'replace subscriptions',
      'replace subscriptions in same call',
      'store and count subscriptions',
      'count subscriptions with two clients',
      'add duplicate subs to persistence for qos > 0',
      'add duplicate subs to persistence for qos 0',
      'get topic list after concurrent subscriptions of a client',
    ])
  })

  test('are each excluded once, with a reason', () => {
    expect(excluded.size).toBe(EXCLUSIONS.flatMap(({ cases }) => cases).length)
    for (const { reason } of EXCLUSIONS) expect(reason).not.toBe('')
  })
})

/** The context of a case, with the number of assertions that it announces and makes. */
function counting(): { readonly context: CaseContext; readonly check: () => void } {
  let planned: number | undefined
  let made = 0
  const counted =
    <Arguments extends unknown[]>(assertion: (...args: Arguments) => void) =>
    (...args: Arguments): void => {
      made += 1
      assertion(...args)
    }
  return {
    context: {
      plan: (assertions) => {
        planned = assertions
      },
      diagnostic: () => undefined,
      assert: {
        equal: counted(assert.equal.bind(assert)),
        deepEqual: counted(assert.deepEqual.bind(assert)),
      },
    },
    check: () => expect(made).toBe(planned ?? made),
  }
}
