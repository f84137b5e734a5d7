/**
 * The topics of all retained messages of the cluster; the messages themselves are in the store.
 *
 * In: what the cluster's log says has changed, and at the start, or where the log has a gap, all topics of the
 * store. Only the log changes it, also for what this node has stored itself: so everybody knows what one node
 * knows, and the last word on a topic is a look into the store that came after its last change. Bounds: none of
 * its own, it is as large as what the store retains.
 */
import type { Message } from '@breakwater/bus'
import type { Appended, RetainedRead, Store } from '@breakwater/store'
import { RetainedIndex } from './retained-index.ts'

/** Topics whose announcement failed; further ones are found when their node dies, or reads all again. */
const UNANNOUNCED_MAX = 10_000

export class RetainedTopics {
  readonly #store: Store
  #index = new RetainedIndex()
  readonly #unannounced = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  get size(): number {
    return this.#index.size
  }

  /**
   * In no particular order, found as they are asked for; what comes meanwhile may be missed. Undefined after
   * so many steps: there may be more.
   */
  match(filter: string, stepsMax: number): Iterator<string | undefined, void, undefined> {
    return this.#index.match(filter, stepsMax)
  }

  read(topics: readonly string[], bytesMax: number): Promise<RetainedRead> {
    return this.#store.readRetained(topics, bytesMax)
  }

  /** Whether the nodes must be told of this message, which is in the store. */
  isNews(message: Message, { retainedChanged }: Appended): boolean {
    if (!message.retain) return false
    // Somebody may have stored the change and told nobody.
    const isCleared = message.payload.length === 0
    const unannounced =
      this.#index.has(message.topic) === isCleared || this.#unannounced.has(message.topic)
    return retainedChanged || unannounced
  }

  /** What became of telling the nodes of a topic. A publisher that was not acknowledged comes again. */
  told(topic: string, error: Error | undefined): void {
    if (error === undefined) this.#unannounced.delete(topic)
    else if (this.#unannounced.size < UNANNOUNCED_MAX) this.#unannounced.add(topic)
  }

  /** A node may have died between storing and telling: finds what was stored and is not known here. */
  async audit(): Promise<void> {
    for await (const topics of this.#store.retainedTopics()) {
      const unknown = topics.filter((topic) => !this.#index.has(topic))
      if (unknown.length > 0) await this.refresh(unknown)
    }
  }

  /** Makes the index equal to the store; the one in use stays in use until the other is complete. */
  async load(): Promise<void> {
    const index = new RetainedIndex()
    for await (const topics of this.#store.retainedTopics())
      for (const topic of topics) index.add(topic)
    this.#index = index
  }

  /** These topics have come or gone: the store says which. */
  async refresh(topics: readonly string[]): Promise<void> {
    const exist = await this.#store.retainedExist(topics)
    for (const [place, topic] of topics.entries()) {
      if (exist[place] === true) this.#index.add(topic)
      else this.#index.delete(topic)
    }
  }
}
