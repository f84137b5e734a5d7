/**
 * The results of recent matches, by topic.
 *
 * A change of a filter marks the filter's key. An entry remembers which keys its match probed, found
 * or not, so it is still good if none of their marks has moved; that is looked at only when any mark
 * has moved since the entry was last good. Two keys may share a mark: then an entry is dropped for
 * nothing, never kept by mistake.
 *
 * Bounds: entries live in two generations; when the younger has half of the topics or half of the
 * targets that the cache may hold, it becomes the older and what was in that one is gone. A hit in
 * the older generation moves the entry to the younger. So many changes as there may be topics end a
 * generation too, so that targets that have left are not held on to. Long topics are not kept.
 */

const MARKS = 4096
/** Topics come from clients: 10,000 cached ones of 64 KiB each would be 640 MB. */
const TOPIC_LENGTH_MAX = 1024

/** What a match gives; its targets are counted. */
export interface Cacheable {
  readonly targets: { readonly length: number }
}

interface Entry<M> {
  readonly matches: M
  /** The marks that this result depends on, and their sum when it was found; marks only grow. */
  readonly marks: readonly number[]
  readonly markSum: number
  /** The cache's count of changes up to which the entry is known to be good. */
  goodUntil: number
}

export class TopicCache<M extends Cacheable> {
  readonly #topicsMax: number
  readonly #targetsMax: number
  #young = new Map<string, Entry<M>>()
  #old = new Map<string, Entry<M>>()
  #youngTargets = 0
  readonly #marks = new Float64Array(MARKS)
  #changes = 0
  #generationEnd: number

  constructor(topicsMax: number, targetsMax: number) {
    this.#topicsMax = topicsMax
    this.#targetsMax = targetsMax
    this.#generationEnd = topicsMax
  }

  /** Topics in both generations; one that is in both counts twice. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(topic: string): M | undefined {
    const young = this.#young.get(topic)
    const entry = young ?? this.#old.get(topic)
    if (entry === undefined) return undefined
    if (entry.goodUntil !== this.#changes) {
      if (this.#sumOf(entry.marks) !== entry.markSum) return undefined
      entry.goodUntil = this.#changes
    }
    if (young === undefined) this.#keep(topic, entry)
    return entry.matches
  }

  /** Keeps the result of a match that probed the first `keyCount` of `keys`. */
  set(topic: string, matches: M, keys: readonly number[], keyCount: number): void {
    if (topic.length > TOPIC_LENGTH_MAX || matches.targets.length * 2 > this.#targetsMax) return
    const marks = keys.slice(0, keyCount)
    for (let index = 0; index < keyCount; index++) marks[index]! &= MARKS - 1
    this.#keep(topic, { matches, marks, markSum: this.#sumOf(marks), goodUntil: this.#changes })
  }

  /** The targets of the filter with this key have changed. */
  mark(key: number): void {
    this.#marks[key & (MARKS - 1)]! += 1
    this.#changes += 1
    if (this.#changes >= this.#generationEnd) this.#nextGeneration()
  }

  clear(): void {
    if (this.size === 0) return
    this.#nextGeneration()
    this.#old = this.#young
  }

  #keep(topic: string, entry: Entry<M>): void {
    const added = entry.matches.targets.length
    this.#youngTargets -= this.#young.get(topic)?.matches.targets.length ?? 0
    if (
      this.#young.size * 2 >= this.#topicsMax ||
      (this.#youngTargets + added) * 2 > this.#targetsMax
    ) {
      this.#nextGeneration()
    }
    this.#youngTargets += added
    this.#young.set(topic, entry)
  }

  #nextGeneration(): void {
    this.#old = this.#young
    this.#young = new Map()
    this.#youngTargets = 0
    this.#generationEnd = this.#changes + this.#topicsMax
  }

  #sumOf(marks: readonly number[]): number {
    let sum = 0
    for (let index = 0; index < marks.length; index++) sum += this.#marks[marks[index]!]!
    return sum
  }
}
