/**
 * The lease of this node. It is renewed several times per view lease; the same round trip reads how long the
 * log is, and judges others. Nobody judges who has not reached Redis himself for a whole lease: after an
 * outage everybody's lease is over, and nobody is dead.
 *
 * Whoever may judge also adopts the clients of nodes that are gone, of one at a time: the beat that finds it due
 * makes it this node's business for ADOPT_LEASES, renewed with each beat, so that another node continues where
 * this one dies.
 */
import type { Keys, OnBadValue, Servers } from '@breakwater/redis'
import { JoinRefused } from './join-refused.ts'
import type { RedisClock } from './redis-clock.ts'
import { BEAT, evaluate, logKeys } from './scripts.ts'

export interface PresenceOptions {
  readonly servers: Servers
  readonly keys: Keys
  readonly nodeId: string
  readonly leaseMs: number
  readonly viewLeaseMs: number
  /** The clients of a dead node are adopted so long after it was declared dead. */
  readonly adoptAfterMs: number
  /** `calledOff`: the node is back. */
  readonly adopt: (nodeId: string, calledOff: AbortSignal) => Promise<void>
  readonly onFault: (error: Error) => void
  readonly onBadValue: OnBadValue
  /** Each beat is a write: whether it was taken. */
  readonly onWritten: (error: Error | undefined) => void
  /** What is said of this node in the list of nodes. */
  readonly facts: () => string
  readonly headRead: (head: number, askedAt: number) => void
  readonly clock: RedisClock
  /** Redis knows nothing of this node any more: it was declared dead, or Redis came back empty. */
  readonly forgotten: (generation: string) => void
}

const BEATS_PER_VIEW_LEASE = 4
const ADOPT_LEASES = 3
/** What has changed of the facts of a node is said no more often. */
const FACTS_MS = 2_000

/** Of the clients of one node. */
interface Adoption {
  readonly node: string
  /** What Redis gave with it: a later departure of the same node is not meant. */
  claim: string
  done: boolean
  readonly callOff: AbortController
}

export class Presence implements Disposable {
  readonly #options: PresenceOptions
  readonly #timer: NodeJS.Timeout
  #busy = false
  #again = false
  #reachedSince: number | undefined
  #reachedLast = 0
  #adopting: Adoption | undefined
  #factsSaid = ''
  #factsSaidAt = 0

  constructor(options: PresenceOptions) {
    this.#options = options
    const periodMs = Math.min(options.viewLeaseMs / BEATS_PER_VIEW_LEASE, options.leaseMs / 3)
    this.#timer = setInterval(() => this.beat(), periodMs)
    this.#timer.unref()
  }

  /** Now, or as soon as the one under way has ended. */
  beat(): void {
    if (this.#busy) this.#again = true
    else void this.#beat()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#busy = true
  }

  async #beat(): Promise<void> {
    const {
      servers,
      keys,
      nodeId,
      leaseMs,
      adoptAfterMs,
      headRead,
      clock,
      forgotten,
      onFault,
      onBadValue,
      onWritten,
    } = this.#options
    this.#busy = true
    this.#again = false
    const askedAt = performance.now()
    const adopting = this.#adopting
    const isDone = adopting?.done === true
    const facts = this.#newFacts(askedAt)
    try {
      const [member, generation, head, due, claim, time] = (await evaluate(
        { redis: servers.of(keys.clusterLog), onBadValue },
        BEAT,
        [...logKeys(keys), keys.clusterLeases, keys.clusterGeneration, keys.clusterDeparted],
        nodeId,
        leaseMs,
        this.#mayJudge(askedAt) ? 1 : 0,
        keys.clusterRoutes(''),
        adoptAfterMs,
        adopting?.node ?? '',
        leaseMs * ADOPT_LEASES,
        adopting?.claim ?? '',
        isDone ? 1 : 0,
        facts,
      )) as [number, string, string, string, string, [seconds: string, us: string]]
      onWritten(undefined)
      this.#reachedLast = performance.now()
      const redisMs = Number(time[0]) * 1_000 + Number(time[1]) / 1_000
      clock.heard(redisMs, askedAt, this.#reachedLast)
      if (facts !== '') [this.#factsSaid, this.#factsSaidAt] = [facts, askedAt]
      this.#reachedSince ??= this.#reachedLast
      if (member === 1) headRead(Number(head), askedAt)
      else forgotten(generation)
      if (adopting !== undefined) {
        adopting.claim = claim
        if (claim === '' && member === 1) adopting.callOff.abort()
      }
      if (isDone) this.#adopting = undefined
      if (due !== '')
        void this.#adopt({ node: due, claim, done: false, callOff: new AbortController() })
    } catch (error) {
      // A lost connection is told by the connection; a beat that is missed only costs time.
      if (error instanceof JoinRefused) onFault(error)
      else onWritten(error as Error)
      this.#reachedSince = undefined
    }
    this.#busy = false
    if (this.#again) this.beat()
  }

  async #adopt(adoption: Adoption): Promise<void> {
    this.#adopting = adoption
    try {
      await this.#options.adopt(adoption.node, adoption.callOff.signal)
      adoption.done = true
      this.beat()
    } catch (error) {
      this.#options.onFault(error as Error)
      this.#adopting = undefined
    }
  }

  /** Empty: nothing new, or it was said a moment ago. */
  #newFacts(now: number): string {
    if (now - this.#factsSaidAt < FACTS_MS) return ''
    const facts = this.#options.facts()
    return facts === this.#factsSaid ? '' : facts
  }

  #mayJudge(now: number): boolean {
    const { leaseMs } = this.#options
    // Stopped, or too busy to beat: the others may have been, too.
    if (now - this.#reachedLast > leaseMs / 2) this.#reachedSince = undefined
    return this.#reachedSince !== undefined && now - this.#reachedSince >= leaseMs
  }
}
