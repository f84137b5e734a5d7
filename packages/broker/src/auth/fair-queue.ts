/**
 * Whose turn it is among logins that wait. Each belongs to a line of its user name, and to one of its address
 * where that is known; its turn is the number of the round in which the longer of the two has come to it. Who
 * stands alone in its lines has its turn in the current round (start-time fair queueing with two flows).
 *
 * Bound: a line is there while somebody is in it.
 */
import type { FailureTokens } from './failed-logins.ts'

/** In what a login stands. */
export interface FlowKeys {
  readonly username: string
  readonly network: string | undefined
}

interface Flow {
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
  user: Flow | undefined
  network: Flow | undefined
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

export class FairQueue {
  /** The round of the last one that was begun with. */
  current = 0
  readonly #keys = new Map<string, Flow>()

  /** The turn of a login that came now. */
  next({ username, network }: FlowKeys): number {
    return Math.max(this.#next(userKey(username)), this.#next(networkKey(network)))
  }

  join(place: Place, keys: FlowKeys): void {
    place.userTurn = this.#next(userKey(keys.username))
    place.turn = this.next(keys)
    place.user = this.#stand(userKey(keys.username), place.turn)
    place.network =
      keys.network === undefined ? undefined : this.#stand(networkKey(keys.network), place.turn)
  }

  /** Somebody at this address waits for the same: it need not wait for the line of another address. */
  advance(place: Place, { network }: FlowKeys): void {
    place.turn = Math.min(place.turn, Math.max(place.userTurn, this.#next(networkKey(network))))
  }

  leave(place: Place): void {
    for (const flow of [place.user, place.network]) this.#change(flow, -1, 0)
  }

  begin(place: Place): void {
    this.current = Math.max(this.current, place.turn)
    for (const flow of [place.user, place.network]) this.#change(flow, -1, 1)
  }

  end(place: Place): void {
    for (const flow of [place.user, place.network]) this.#change(flow, 0, -1)
  }

  #next(key: string): number {
    const flow = this.#keys.get(key)
    return flow === undefined || flow.waiting === 0
      ? this.current
      : Math.max(this.current, flow.last + 1)
  }

  #stand(key: string, turn: number): Flow {
    const flow = this.#keys.get(key) ?? { key, waiting: 0, running: 0, last: turn }
    this.#keys.set(key, flow)
    flow.last = turn
    flow.waiting += 1
    return flow
  }

  #change(flow: Flow | undefined, waiting: number, running: number): void {
    if (flow === undefined) return
    flow.waiting += waiting
    flow.running += running
    if (flow.waiting === 0 && flow.running === 0) this.#keys.delete(flow.key)
  }
}

function userKey(username: string): string {
  return `user ${username}`
}

function networkKey(network: string | undefined): string {
  return `network ${network}`
}
