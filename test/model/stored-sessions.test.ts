import { isSharedFilter, parseSharedFilter, topicMatchesFilter, type QoS } from '@breakwater/mqtt'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SharedTable } from '../../packages/broker/src/shared/shared-table.ts'
import { StoredFilters } from '../../packages/broker/src/route/stored-filters.ts'

/*
 * The model of the stored sessions is a Map per session that is searched in full. Few levels and few clients,
 * so that filters are shared, overlap, and come and go many times, and their ids are used again. Filters of
 * shared subscriptions are the session's, but make no queue of its own.
 */

type Change =
  | { readonly kind: 'set'; readonly client: string; readonly filter: string; readonly qos: QoS }
  | { readonly kind: 'delete'; readonly client: string; readonly filter: string }
  | { readonly kind: 'clear'; readonly client: string }
  | {
      readonly kind: 'replace'
      readonly client: string
      readonly filters: readonly (readonly [string, QoS])[]
    }

const level = fc.constantFrom('a', 'b', 'é', '😀', '\ud83d', '', 'long-level-'.repeat(20))
const topic = fc
  .array(level, { minLength: 1, maxLength: 3 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '')
const plainFilter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 3 }), fc.boolean())
  .map(([levels, multi]) => [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter((text) => text !== '')
const filter = fc.oneof(
  { weight: 4, arbitrary: plainFilter },
  { weight: 1, arbitrary: plainFilter.map((text) => `$share/group/${text}`) },
)
const client = fc.constantFrom('one', 'two', 'three', 'four', '__proto__')
const qos = fc.constantFrom<QoS>(0, 1, 2)
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('set' as const), client, filter, qos }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), client, filter }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), client }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('replace' as const),
      client,
      filters: fc.uniqueArray(fc.tuple(filter, qos), { maxLength: 5, selector: ([text]) => text }),
    }),
  },
)

class Pair {
  readonly model = new Map<string, Map<string, QoS>>()
  readonly shared = new SharedTable(3)
  readonly sessions = new StoredFilters(3, this.shared)

  apply(step: Change): void {
    const filters = this.model.get(step.client) ?? new Map<string, QoS>()
    if (step.kind === 'set') {
      put(filters, step.filter, step.qos)
      this.sessions.set(step.client, step.filter, step.qos)
    } else if (step.kind === 'delete') {
      filters.delete(step.filter)
      this.sessions.delete(step.client, step.filter)
    } else {
      filters.clear()
      if (step.kind === 'clear') this.sessions.clear(step.client)
      else {
        for (const [text, granted] of step.filters) put(filters, text, granted)
        const subscriptions = step.filters.map(([text, granted]) => ({
          filter: text,
          qos: granted,
        }))
        this.sessions.replace({ clientId: step.client, subscriptions })
      }
    }
    if (filters.size === 0) this.model.delete(step.client)
    else this.model.set(step.client, filters)
    expect(this.sessions.size).toBe(this.model.size)
    expect(this.sessions.has(step.client)).toBe(filters.size > 0)
    const ofClient = [...filters.keys()].filter(isSharedFilter)
    expect(new Set(this.sessions.sharedFilters(step.client))).toEqual(new Set(ofClient))
    const members = new Set<string>()
    for (const [clientId, texts] of this.model)
      for (const text of texts.keys())
        if (parseSharedFilter(text) !== undefined) members.add(`${clientId} ${text}`)
    const found = [...this.shared.all].flatMap((group) =>
      [...group.stored].map((clientId) => `${clientId} ${group.filter}`),
    )
    expect(found).toHaveLength(members.size)
    expect(new Set(found)).toEqual(members)
    expect([...this.shared.all].every(({ stored }) => stored.size > 0)).toBe(true)
  }

  check(name: string): void {
    const expected = new Map<string, QoS>()
    for (const [clientId, filters] of this.model)
      for (const [text, granted] of filters)
        if (!isSharedFilter(text) && topicMatchesFilter(name, text))
          expected.set(clientId, Math.max(granted, expected.get(clientId) ?? 0) as QoS)
    expect(this.sessions.wants(name)).toBe(expected.size > 0)
    for (const most of [1, 2] as const) {
      const queues = this.sessions.queues(name, most)
      expect(queues).toHaveLength(expected.size)
      const lowered = [...expected].map(([clientId, granted]) => [
        clientId,
        Math.min(granted, most),
      ])
      const found = queues.map((queue) => [queue.clientId, queue.qos] as const)
      expect(new Map(found)).toEqual(new Map(lowered as [string, QoS][]))
    }
  }
}

function put(filters: Map<string, QoS>, text: string, granted: QoS): void {
  if (granted === 0) filters.delete(text)
  else filters.set(text, granted)
}

describe('the stored sessions equal their model after any sequence of changes', () => {
  it('in the filters that match and in the clients that have a session', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(topic, { minLength: 1, maxLength: 6 }),
        (changes, topics) => {
          const pair = new Pair()
          for (const step of changes) {
            pair.apply(step)
            for (const name of topics) pair.check(name)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('even when many texts come and go, and the text pool moves the remaining ones', () => {
    const sessions = new StoredFilters(3, new SharedTable(3))
    const text = (index: number): string => `${index % 3 === 0 ? '😀' : 'é'}/${index}/`.repeat(20)
    const count = 15_000
    for (let index = 0; index < count; index++) sessions.set(`client-${index}`, text(index), 1)
    for (let index = 0; index < count; index++)
      if (index % 10 !== 0) sessions.clear(`client-${index}`)
    for (let index = count; index < 2 * count; index++)
      sessions.set(`client-${index}`, `${text(index)}#`, 2)
    for (let index = 0; index < 2 * count; index++) {
      const stays = index >= count || index % 10 === 0
      expect(sessions.queues(text(index), 1)).toEqual(
        stays ? [{ clientId: `client-${index}`, qos: 1 }] : [],
      )
    }
    for (let index = 0; index < 2 * count; index++) sessions.clear(`client-${index}`)
    expect(sessions.size).toBe(0)
    expect(sessions.wants(text(0))).toBe(false)
  })
})
