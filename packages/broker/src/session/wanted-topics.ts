/**
 * Whether a session still wants what is in its queue: one of its filters matches the topic.
 *
 * A few filters are asked in turn. More of them are put into an index, made when it is needed and again when the
 * filters have changed: a queue of 100,000 messages is not compared with each of 1,000 filters.
 */
import { isSharedFilter, topicMatchesFilter, type QoS } from '@breakwater/mqtt'
import { FilterIndex } from '@breakwater/matching'

const ASKED_IN_TURN_MAX = 8
const SHAPES_MAX = 64

export interface FilterHolder {
  readonly filters: ReadonlyMap<string, QoS>
  /** Grows when they change. */
  readonly filtersVersion: number
}

export class WantedTopics {
  readonly #holder: FilterHolder
  #index: FilterIndex | undefined
  #version = -1

  constructor(holder: FilterHolder) {
    this.#holder = holder
  }

  has(topic: string): boolean {
    const { filters, filtersVersion } = this.#holder
    if (filters.size <= ASKED_IN_TURN_MAX) {
      for (const filter of filters.keys()) if (topicMatchesFilter(topic, filter)) return true
      return false
    }
    if (this.#index === undefined || this.#version !== filtersVersion) {
      this.#index = indexOf(filters)
      this.#version = filtersVersion
    }
    this.#index.match(topic)
    return this.#index.hitCount > 0
  }
}

function indexOf(filters: ReadonlyMap<string, QoS>): FilterIndex {
  // Messages of shared subscriptions are in queues of their own.
  const texts = [...filters.keys()].filter((filter) => !isSharedFilter(filter))
  const names = {
    is: (id: number, filter: string): boolean => texts[id] === filter,
    matches: (id: number, topic: string): boolean => topicMatchesFilter(topic, texts[id] as string),
  }
  const index = new FilterIndex(names, SHAPES_MAX)
  for (const [id, filter] of texts.entries()) index.add(filter, id)
  return index
}
