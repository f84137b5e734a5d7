/**
 * Whose turn it is among logins that wait. Each belongs to a line of its user name, and to one of its address
 * where that is known; its turn is the number of the round in which the longer of the two has come to it. Who
 * stands alone in its lines has its turn in the current round (start-time fair queueing with two flows).
 *
 * Bound: a line is there while somebody is in it.
 */
import type { FailureTokens } from './failed-logins.ts'

/** In what a login stands. */
export interface Flows {
  readonly username: string
  readonly site: string | undefined
}

interface Line {
  readonly key: string
  waiting: number
  running: number
  /** Turn of the last one that has come. */
  last: number
}

/** The place of one login. */
export class Place {
  turn = 0
  /** What the line of its user name alone would make of it. */
  userTurn = 0
  user: Line | undefined
  site: Line | undefined
  /** Needed for its check. */
  readonly tokens: readonly FailureTokens[]
  /** It needs no token: it was drawn among those that have none. */
  isDrawn = false

  constructor(tokens: readonly FailureTokens[]) {
    this.tokens = tokens
  }

  /** Of what it has no token; undefined: of nothing. */
  lacks(nowMs: number): FailureTokens | undefined {
    return this.tokens.find(({ bucket }) => !bucket.holdsAny(nowMs))
  }
}

export class Turns {
  /** The round of the last one that was begun with. */
  current = 0
  readonly #lines = new Map<string, Line>()

  /** The turn of a login that came now. */
  next({ username, site }: Flows): number {
    return Math.max(this.#next(userKey(username)), this.#next(siteKey(site)))
  }

  join(place: Place, flows: Flows): void {
    place.userTurn = this.#next(userKey(flows.username))
    place.turn = this.next(flows)
    place.user = this.#stand(userKey(flows.username), place.turn)
    place.site = flows.site === undefined ? undefined : this.#stand(siteKey(flows.site), place.turn)
  }

  /** Somebody at this address waits for the same: it need not wait for the line of another address. */
  advance(place: Place, { site }: Flows): void {
    place.turn = Math.min(place.turn, Math.max(place.userTurn, this.#next(siteKey(site))))
  }

  leave(place: Place): void {
    for (const line of [place.user, place.site]) this.#change(line, -1, 0)
  }

  begin(place: Place): void {
    this.current = Math.max(this.current, place.turn)
    for (const line of [place.user, place.site]) this.#change(line, -1, 1)
  }

  end(place: Place): void {
    for (const line of [place.user, place.site]) this.#change(line, 0, -1)
  }

  #next(key: string): number {
    const line = this.#lines.get(key)
    return line === undefined || line.waiting === 0
      ? this.current
      : Math.max(this.current, line.last + 1)
  }

  #stand(key: string, turn: number): Line {
    const line = this.#lines.get(key) ?? { key, waiting: 0, running: 0, last: turn }
    this.#lines.set(key, line)
    line.last = turn
    line.waiting += 1
    return line
  }

  #change(line: Line | undefined, waiting: number, running: number): void {
    if (line === undefined) return
    line.waiting += waiting
    line.running += running
    if (line.waiting === 0 && line.running === 0) this.#lines.delete(line.key)
  }
}

function userKey(username: string): string {
  return `user ${username}`
}

function siteKey(site: string | undefined): string {
  return `site ${site}`
}
