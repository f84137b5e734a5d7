import type { QoS } from '@breakwater/mqtt'
import { columnOf } from './column.ts'
import type { FilterTargets } from './filter-targets.ts'
import { TextPool } from './text-pool.ts'

/**
 * Which stored session has which filter, for a million sessions: numbers in columns, no object per session,
 * filter or pair.
 *
 * A pair of filter and session is a *link*, which is in the list of its filter and in the list of its session.
 * Set and delete look for it in both lists at once, so they cost what the shorter of the two is long. An id
 * that is free holds the next free one where a used one has the head of its list; ids start at 1 where 0 says
 * "none".
 *
 * Bounds: 2^29 sessions. The columns keep the size of their busiest time until the last session is gone.
 */

/** Of a link: session × 4 + QoS, filter, next of the session, next and previous of the filter. */
const LINK = 5
const FILTER = 1
const NEXT_OF_SESSION = 2
const NEXT = 3
const PREVIOUS = 4
/** Ids of sessions that are kept when none is left: few come and go often. */
const KEPT_MAX = 1_024

/** A session whose queue gets a message, and at which QoS. */
export interface StoredMatch {
  readonly clientId: string
  readonly qos: QoS
}

/** The sessions that get the messages of one topic: session × 4 + QoS of each. */
export interface StoredMatches {
  readonly targets: readonly number[]
}

const NO_SESSIONS: StoredMatches = { targets: [] }

export class StoredPool implements FilterTargets<number, StoredMatches> {
  readonly #texts = new TextPool()
  #filters = 0
  #filterIds = 0
  #freeFilter = -1
  #filterHeads: Int32Array = new Int32Array(0)
  #sessions = 0
  #freeSession = -1
  #sessionHeads: Int32Array = new Int32Array(0)
  /** Scratch: where in the result of the match under way a session was put. */
  #merged: Int32Array = new Int32Array(0)
  #clientIds: string[] = []
  #links: Int32Array = new Int32Array(0)
  #linkIds = 1
  #freeLink = 0

  get size(): number {
    return this.#filters
  }

  /** An id for a session, which has no filter yet. */
  openSession(clientId: string): number {
    let session = this.#freeSession
    if (session === -1) session = this.#clientIds.length
    else this.#freeSession = this.#sessionHeads[session]!
    this.#clientIds[session] = clientId
    this.#sessionHeads = columnOf(Int32Array, this.#sessionHeads, session + 1)
    this.#merged = columnOf(Int32Array, this.#merged, session + 1)
    this.#sessionHeads[session] = 0
    this.#sessions++
    return session
  }

  /** Takes back the id of a session that has no filter any more. */
  closeSession(session: number): void {
    this.#clientIds[session] = ''
    this.#sessionHeads[session] = this.#freeSession
    this.#freeSession = session
    this.#sessions--
    if (this.#sessions === 0 && this.#clientIds.length > KEPT_MAX) this.#reset()
  }

  hasFilters(session: number): boolean {
    return this.#sessionHeads[session] !== 0
  }

  filtersOf(session: number): string[] {
    const filters: string[] = []
    const links = this.#links
    for (let link = this.#sessionHeads[session]!; link !== 0;) {
      filters.push(this.#texts.text(links[link * LINK + FILTER]!))
      link = links[link * LINK + NEXT_OF_SESSION]!
    }
    return filters
  }

  is(id: number, filter: string): boolean {
    return this.#texts.is(id, filter)
  }

  matches(id: number, topic: string): boolean {
    return this.#texts.matches(id, topic)
  }

  open(filter: string): number {
    let id = this.#freeFilter
    if (id === -1) id = this.#filterIds++
    else this.#freeFilter = this.#filterHeads[id]!
    this.#filterHeads = columnOf(Int32Array, this.#filterHeads, id + 1)
    this.#filterHeads[id] = 0
    this.#texts.add(id, filter)
    this.#filters++
    return id
  }

  close(id: number): void {
    this.#texts.remove(id)
    this.#filterHeads[id] = this.#freeFilter
    this.#freeFilter = id
    this.#filters--
  }

  hasTargets(id: number): boolean {
    return this.#filterHeads[id] !== 0
  }

  set(id: number, session: number, qos: QoS): QoS | undefined {
    const known = this.#find(id, session)
    if (known !== 0) {
      const before = (this.#links[known * LINK]! & 3) as QoS
      this.#links[known * LINK] = session * 4 + qos
      return before
    }
    const link = this.#openLink()
    const links = this.#links
    const head = this.#filterHeads[id]!
    const at = link * LINK
    links[at] = session * 4 + qos
    links[at + FILTER] = id
    links[at + NEXT_OF_SESSION] = this.#sessionHeads[session]!
    links[at + NEXT] = head
    links[at + PREVIOUS] = 0
    if (head !== 0) links[head * LINK + PREVIOUS] = link
    this.#filterHeads[id] = link
    this.#sessionHeads[session] = link
    return undefined
  }

  delete(id: number, session: number): boolean {
    const link = this.#find(id, session)
    if (link === 0) return false
    const links = this.#links
    const next = links[link * LINK + NEXT]!
    const previous = links[link * LINK + PREVIOUS]!
    if (next !== 0) links[next * LINK + PREVIOUS] = previous
    if (previous === 0) this.#filterHeads[id] = next
    else links[previous * LINK + NEXT] = next
    this.#leaveSession(link, session)
    links[link * LINK + NEXT] = this.#freeLink
    this.#freeLink = link
    return true
  }

  join(ids: readonly number[], count: number): StoredMatches {
    if (count === 0) return NO_SESSIONS
    const links = this.#links
    const targets: number[] = []
    for (let index = 0; index < count; index++) {
      for (let link = this.#filterHeads[ids[index]!]!; link !== 0;) {
        const target = links[link * LINK]!
        if (count === 1) targets.push(target)
        else this.#merge(targets, target)
        link = links[link * LINK + NEXT]!
      }
    }
    return { targets }
  }

  /** The queues of a match, for a message of this QoS. */
  queues({ targets }: StoredMatches, qos: QoS): readonly StoredMatch[] {
    return targets.map((target) => ({
      clientId: this.#clientIds[target >> 2]!,
      qos: Math.min(target & 3, qos) as QoS,
    }))
  }

  /** Each session once, with the highest QoS of its filters. */
  #merge(targets: number[], target: number): void {
    const session = target >> 2
    const place = this.#merged[session]!
    // What an earlier match has left there names another session, or none.
    const there = targets[place]
    if (there === undefined || there >> 2 !== session) {
      this.#merged[session] = targets.length
      targets.push(target)
    } else if (target > there) {
      targets[place] = target
    }
  }

  #find(id: number, session: number): number {
    const links = this.#links
    let ofFilter = this.#filterHeads[id]!
    let ofSession = this.#sessionHeads[session]!
    while (ofFilter !== 0 && ofSession !== 0) {
      if (links[ofFilter * LINK]! >> 2 === session) return ofFilter
      if (links[ofSession * LINK + FILTER] === id) return ofSession
      ofFilter = links[ofFilter * LINK + NEXT]!
      ofSession = links[ofSession * LINK + NEXT_OF_SESSION]!
    }
    return 0
  }

  #leaveSession(link: number, session: number): void {
    const links = this.#links
    const next = links[link * LINK + NEXT_OF_SESSION]!
    let before = this.#sessionHeads[session]!
    if (before === link) {
      this.#sessionHeads[session] = next
      return
    }
    while (links[before * LINK + NEXT_OF_SESSION] !== link)
      before = links[before * LINK + NEXT_OF_SESSION]!
    links[before * LINK + NEXT_OF_SESSION] = next
  }

  #openLink(): number {
    const free = this.#freeLink
    if (free !== 0) {
      this.#freeLink = this.#links[free * LINK + NEXT]!
      return free
    }
    this.#links = columnOf(Int32Array, this.#links, (this.#linkIds + 1) * LINK)
    return this.#linkIds++
  }

  #reset(): void {
    this.#texts.clear()
    this.#filterIds = 0
    this.#freeFilter = -1
    this.#filterHeads = new Int32Array(0)
    this.#freeSession = -1
    this.#sessionHeads = new Int32Array(0)
    this.#merged = new Int32Array(0)
    this.#clientIds = []
    this.#links = new Int32Array(0)
    this.#linkIds = 1
    this.#freeLink = 0
  }
}
