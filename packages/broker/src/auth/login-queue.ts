/**
 * Logins whose check costs something (a password hash, a request to the HTTP hook) wait here for their turn.
 *
 * - Equal checks are one: a login that asks what is being asked already gets the same answer.
 * - A check begins when one of `places` is free and it is its turn. Turns go round over user names and over
 *   addresses (`fair-queue.ts`): neither a name that is tried from everywhere nor an address that tries every name
 *   delays the others.
 * - A check needs a token of its name and of its address (`failed-logins.ts`), and gives it back unless the
 *   login was wrong. Those without one wait; each second `throttledLoginsPerSecondMax` of them are checked all
 *   the same, at random, so that a client that fails on purpose cannot lock out the right one.
 * - When the queue is full, the login whose turn would come last is refused. If that is the new one, it draws
 *   lots with all others that come in that second, for the places that become free in it.
 *
 * In: logins, each with its check. Out: the answer, or why there is none. Bounds: `loginsWaitingMax` and
 * `loginsWaitingBytesMax` checks that wait, each until the deadline of its client; logins that wait for an equal
 * check are bounded by `unansweredMax`. A client that leaves takes its check with it, unless the check runs or
 * another client waits for it. One timer, and only while somebody waits.
 */
import type { Limits } from '@breakwater/config'
import type { TokenBucket } from '../admit/token-bucket.ts'
import { isRefused, type Answer, type LoginClient } from './answer.ts'
import type { FailedLogins } from './failed-logins.ts'
import { Reservoir } from './reservoir.ts'
import { Place, FairQueue, type FlowKeys } from './fair-queue.ts'

export interface Login extends FlowKeys {
  /** The same for logins that must have the same answer, and for no others. */
  readonly mark: string
  /** What it takes while it waits. */
  readonly bytes: number
  readonly client: LoginClient
  /** By `performance.now()`: a later answer would come too late. */
  readonly deadlineMs: number
  /** Its check costs nothing, so it takes no place; it waits for its turn, so that nobody can tell. */
  readonly isFree: boolean
}

export type Outcome = Answer | undefined

/** Why a login was not checked, for `breakwater_logins_dropped_total`. */
export type LoginDrop = 'left' | 'late' | 'full'

export interface LoginQueueOptions {
  readonly limits: Pick<
    Limits,
    'throttledLoginsPerSecondMax' | 'loginsWaitingMax' | 'loginsWaitingBytesMax'
  >
  readonly failed: FailedLogins
  /** How many may be checked at once now. */
  readonly places: () => number
  readonly onBegun: (waitedMs: number) => void
  readonly onDropped: (why: LoginDrop, logins: number) => void
  readonly onDrawn: (won: number) => void
}

interface Waiter {
  readonly client: LoginClient
  readonly deadlineMs: number
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: Error) => void
}

/** One check, and all who want its answer. */
class Check extends Place {
  readonly login: Login
  readonly make: () => Promise<Outcome>
  readonly waiters = new Set<Waiter>()
  readonly sinceMs: number = performance.now()
  hasBegun = false

  constructor(login: Login, make: () => Promise<Outcome>, failed: FailedLogins) {
    super(failed.tokensOf(login))
    this.login = login
    this.make = make
  }
}

const TICK_MS = 100
const TICKS_PER_DRAW = 10
/** Of the logins that come in a second in which the queue is full: those that are kept until its end. */
const DRAW_MAX = 64

const LEFT: Answer = { refused: 'connection-lost', detail: 'before its login was checked' }
const STOPPED: Answer = { refused: 'shutting-down' }

export class LoginQueue implements Disposable {
  readonly #options: LoginQueueOptions
  readonly #checks = new Map<string, Check>()
  /** In the order in which they came. */
  readonly #waiting = new Set<Check>()
  readonly #fairQueue = new FairQueue()
  #bytes = 0
  #free = 0
  #running = 0
  #reservoir: Reservoir<Check> | undefined
  #hasLosers = false
  #timer: NodeJS.Timeout | undefined
  #ticks = 0

  constructor(options: LoginQueueOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get waitingBytes(): number {
    return this.#bytes
  }

  ask(login: Login, make: () => Promise<Outcome>): Promise<Outcome> {
    const { client, deadlineMs, mark } = login
    if (!client.open) return Promise.resolve(LEFT)
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { client, deadlineMs, resolve, reject }
      const equal = this.#checks.get(mark)
      const check = equal ?? new Check(login, make, this.#options.failed)
      check.waiters.add(waiter)
      client.onClosed = () => this.#leave(check, waiter)
      if (equal === undefined) this.#enter(check)
      else if (this.#waiting.has(equal)) this.#fairQueue.advance(equal, login)
      this.#pump()
    })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    for (const check of this.#checks.values()) if (!check.hasBegun) this.#end(check, STOPPED)
  }

  #enter(check: Check): void {
    this.#checks.set(check.login.mark, check)
    if (this.#timer === undefined) {
      this.#ticks = 0
      this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
    }
    if (this.#makesRoom(check.login)) this.#wait(check)
    else this.#draw(check)
  }

  #wait(check: Check): void {
    this.#fairQueue.join(check, check.login)
    this.#waiting.add(check)
    this.#bytes += check.login.bytes
    if (check.login.isFree) this.#free += 1
  }

  #makesRoom(login: Login): boolean {
    const turn = this.#fairQueue.next(login)
    // While lots are drawn, a place that becomes free belongs to those who draw.
    if (this.#reservoir === undefined && this.#hasRoom(login.bytes)) return true
    if (login.bytes > this.#options.limits.loginsWaitingBytesMax) return false
    for (let last = this.#last(); last !== undefined && last.turn > turn; last = this.#last()) {
      if (this.#hasRoom(login.bytes)) return true
      this.#drop(last, 'full', 'others came whose turn is sooner')
    }
    return false
  }

  #hasRoom(bytes: number): boolean {
    const { loginsWaitingMax, loginsWaitingBytesMax } = this.#options.limits
    return this.#waiting.size < loginsWaitingMax && this.#bytes + bytes <= loginsWaitingBytesMax
  }

  /** The one whose turn comes last. */
  #last(): Check | undefined {
    let last: Check | undefined
    for (const check of this.#waiting)
      if (last === undefined || check.turn >= last.turn) last = check
    return last
  }

  #draw(check: Check): void {
    this.#reservoir ??= new Reservoir(DRAW_MAX)
    const loser = this.#reservoir.add(check)
    if (loser !== undefined) this.#lose(loser)
  }

  #lose(loser: Check): void {
    this.#hasLosers = true
    this.#drop(loser, 'full', `${this.#waiting.size} wait, and it has drawn no place`)
  }

  #pump(): void {
    const nowMs = performance.now()
    for (let check = this.#next(nowMs); check !== undefined; check = this.#next(nowMs))
      this.#begin(check, nowMs)
  }

  #next(nowMs: number): Check | undefined {
    const places = this.#options.places()
    const isFull = this.#running >= places
    if (isFull && this.#free === 0) return undefined
    let next: Check | undefined
    for (const check of this.#waiting) {
      if (next !== undefined && check.turn >= next.turn) continue
      if (!check.isDrawn && check.lacks(nowMs) !== undefined) continue
      // As many at once as there would be of a name whose checks do cost something.
      if (check.login.isFree && (check.user?.running ?? 0) >= places) continue
      next = check
      if (check.turn <= this.#fairQueue.current) break
    }
    return isFull && next?.login.isFree !== true ? undefined : next
  }

  #begin(check: Check, nowMs: number): void {
    const { isFree } = check.login
    const taken = check.isDrawn ? [] : check.tokens
    this.#forget(check)
    check.hasBegun = true
    this.#fairQueue.begin(check)
    if (!isFree) this.#running += 1
    for (const { bucket } of taken) bucket.takeIfAny(nowMs)
    this.#options.onBegun(nowMs - check.sinceMs)
    const ended = (isWrong: boolean): void => {
      this.#fairQueue.end(check)
      if (!isFree) this.#running -= 1
      if (!isWrong) for (const { bucket } of taken) bucket.give()
    }
    check.make().then(
      (outcome) => {
        ended(outcome !== undefined && isRefused(outcome) && outcome.refused === 'bad-credentials')
        this.#end(check, outcome)
        this.#pump()
      },
      (error: Error) => {
        ended(false)
        for (const { reject } of this.#taken(check)) reject(error)
        this.#pump()
      },
    )
  }

  #leave(check: Check, waiter: Waiter): void {
    check.waiters.delete(waiter)
    waiter.resolve(LEFT)
    // What runs goes on: another client may ask the same.
    if (check.waiters.size > 0 || check.hasBegun) return
    this.#options.onDropped('left', 1)
    this.#end(check, LEFT)
  }

  #drop(check: Check, why: LoginDrop, detail: string): void {
    this.#options.onDropped(why, check.waiters.size)
    this.#end(check, { refused: 'logins-full', detail })
  }

  #end(check: Check, outcome: Outcome): void {
    for (const { resolve } of this.#taken(check)) resolve(outcome)
  }

  /** It is over: those who wait for it. */
  #taken(check: Check): readonly Waiter[] {
    if (!check.hasBegun) {
      if (this.#waiting.has(check)) this.#fairQueue.leave(check)
      this.#forget(check)
    }
    this.#checks.delete(check.login.mark)
    const waiters = [...check.waiters]
    for (const { client } of waiters) client.onClosed = undefined
    check.waiters.clear()
    return waiters
  }

  /** It does not wait any more. */
  #forget(check: Check): void {
    this.#reservoir?.delete(check)
    if (!this.#waiting.delete(check)) return
    this.#bytes -= check.login.bytes
    if (check.login.isFree) this.#free -= 1
  }

  #tick(): void {
    const nowMs = performance.now()
    this.#ticks += 1
    this.#expire(nowMs)
    if (this.#ticks % TICKS_PER_DRAW === 0) {
      this.#admitDrawn()
      this.#drawThrottled(nowMs)
    }
    this.#pump()
    if (this.#waiting.size > 0 || this.#reservoir !== undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #expire(nowMs: number): void {
    for (const check of this.#waiting) {
      for (const waiter of check.waiters) {
        if (waiter.deadlineMs > nowMs) continue
        this.#options.onDropped('late', 1)
        check.waiters.delete(waiter)
        waiter.client.onClosed = undefined
        waiter.resolve(lateness(check, nowMs))
      }
      if (check.waiters.size === 0) this.#end(check, undefined)
    }
  }

  /** The places that have become free in this second go to those who were drawn. */
  #admitDrawn(): void {
    const reservoir = this.#reservoir
    if (reservoir === undefined) return
    let won = 0
    for (const check of reservoir.drawn()) {
      reservoir.delete(check)
      if (this.#hasRoom(check.login.bytes)) {
        this.#wait(check)
        won += 1
      } else this.#lose(check)
    }
    this.#options.onDrawn(won)
    // As long as there are losers nobody gets a place by coming in the right moment.
    this.#reservoir = this.#hasLosers ? new Reservoir(DRAW_MAX) : undefined
    this.#hasLosers = false
  }

  /** Of those that have no token, a few of each name and of each address. */
  #drawThrottled(nowMs: number): void {
    const reservoirOf = new Map<TokenBucket, Reservoir<Check>>()
    for (const check of this.#waiting) {
      check.isDrawn = false
      const tokens = check.lacks(nowMs)
      if (tokens === undefined) continue
      const reservoir =
        reservoirOf.get(tokens.bucket) ??
        new Reservoir(this.#options.limits.throttledLoginsPerSecondMax)
      reservoirOf.set(tokens.bucket, reservoir)
      reservoir.add(check)
    }
    for (const reservoir of reservoirOf.values())
      for (const check of reservoir.drawn()) check.isDrawn = true
  }
}

function lateness(check: Check, nowMs: number): Answer {
  const waitedMs = Math.round(nowMs - check.sinceMs)
  const tokens = check.lacks(nowMs)
  return tokens === undefined
    ? { refused: 'logins-full', detail: `its turn had not come after ${waitedMs} ms` }
    : { refused: 'login-rate', detail: `too many failed logins of its ${tokens.of}` }
}
