import { topicMatchesFilter, type QoS } from '@breakwater/mqtt'
import { Audience } from './audience.ts'
import type { FilterTargets } from './filter-targets.ts'
import { MatchMerge } from './match-merge.ts'
import type { Matches, Target } from './matches.ts'
import { NO_MATCHES } from './matches.ts'

const IDS_MIN = 16

/**
 * What a table knows about each filter, in columns by filter id. Most filters have one target, which
 * costs three cells and no object; two or more become an `Audience`. Ids of filters that are gone
 * are used again; the columns keep the size of their busiest time until the pool is empty.
 */
export class FilterPool<T extends Target> implements FilterTargets<T, Matches<T>> {
  /** Filter texts by id; empty where an id is free. */
  readonly #names: string[] = []
  readonly #holders: (T | Audience<T> | undefined)[] = []
  /** The QoS of single targets. */
  #qos: Uint8Array = new Uint8Array(IDS_MIN)
  #freeIds: number[] = []

  get size(): number {
    return this.#names.length - this.#freeIds.length
  }

  open(filter: string): number {
    const id = this.#freeIds.pop() ?? this.#names.length
    if (id === this.#qos.length) {
      const qos = new Uint8Array(id * 2)
      qos.set(this.#qos)
      this.#qos = qos
    }
    this.#names[id] = filter
    this.#holders[id] = undefined
    return id
  }

  close(id: number): void {
    if (this.size === 1) {
      this.#names.length = 0
      this.#holders.length = 0
      this.#qos = new Uint8Array(IDS_MIN)
      this.#freeIds = []
    } else {
      this.#names[id] = ''
      this.#freeIds.push(id)
    }
  }

  hasTargets(id: number): boolean {
    return this.#holders[id] !== undefined
  }

  set(id: number, target: T, qos: QoS): QoS | undefined {
    const before = this.#qosOf(id, target)
    if (before === qos) return before
    const holder = this.#holders[id]
    if (holder instanceof Audience) {
      holder.set(target, qos)
    } else if (holder === undefined || holder === target) {
      this.#holders[id] = target
      this.#qos[id] = qos
    } else {
      const audience = new Audience<T>()
      audience.set(holder, this.#qos[id] as QoS)
      audience.set(target, qos)
      this.#holders[id] = audience
    }
    return before
  }

  delete(id: number, target: T): boolean {
    const holder = this.#holders[id]
    if (holder instanceof Audience) {
      if (!holder.delete(target)) return false
      if (holder.size === 1) {
        const { targets, qos } = holder.matches
        this.#holders[id] = targets[0]
        this.#qos[id] = qos[0]!
      }
      return true
    }
    if (holder !== target) return false
    this.#holders[id] = undefined
    return true
  }

  is(id: number, filter: string): boolean {
    return this.#names[id] === filter
  }

  matches(id: number, topic: string): boolean {
    return topicMatchesFilter(topic, this.#names[id]!)
  }

  join(ids: readonly number[], count: number): Matches<T> {
    if (count === 0) return NO_MATCHES
    if (count === 1) return this.#matchesOf(ids[0]!)
    const merge = new MatchMerge<T>()
    for (let index = 0; index < count; index++) this.#mergeInto(merge, ids[index]!)
    return merge.matches
  }

  #matchesOf(id: number): Matches<T> {
    const holder = this.#holders[id]
    if (holder === undefined) return NO_MATCHES
    if (holder instanceof Audience) return holder.matches
    return { targets: [holder], qos: [this.#qos[id] as QoS] }
  }

  #mergeInto(merge: MatchMerge<T>, id: number): void {
    const holder = this.#holders[id]
    if (holder instanceof Audience) merge.addAll(holder.matches)
    else if (holder !== undefined) merge.add(holder, this.#qos[id] as QoS)
  }

  #qosOf(id: number, target: T): QoS | undefined {
    const holder = this.#holders[id]
    if (holder === target) return this.#qos[id] as QoS
    return holder instanceof Audience ? holder.qosOf(target) : undefined
  }
}
