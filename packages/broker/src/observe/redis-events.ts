/**
 * What goes wrong between this node and Redis, by kind: one line when a kind begins, with its cause and what to
 * change, one a minute while it lasts, one when Redis is back. It is the same state for all connections of the
 * node. Part of events.ts.
 *
 * Over is what has not been seen for a while, when Redis has answered since: for most kinds OVER_MS, and for those
 * that only some commands meet OVER_RARE_MS.
 */
import {
  faultOf,
  type BadValue,
  type RedisFault,
  type RedisFaultKind,
  type RedisSetting,
} from '@breakwater/redis'
import type { BrokerInstruments } from './instruments.ts'
import type { NodeLog } from '../log/node-log.ts'

/** Longer than two attempts to connect are apart. */
const OVER_MS = 2_500
const OVER_RARE_MS = 65_000
const AGAIN_MS = 60_000

/** Commands are answered, though not all of them. */
const RARE: ReadonlySet<RedisFaultKind> = new Set<RedisFaultKind>(['permission', 'unfit', 'other'])
/** Commands are answered, and writes refused. */
const REFUSING: ReadonlySet<RedisFaultKind> = new Set<RedisFaultKind>([
  'memory',
  'disk',
  'replicas',
  'read-only',
])

/** Commands are refused one by one: a PING is answered. */
const ANSWERING: ReadonlySet<RedisFaultKind> = new Set<RedisFaultKind>([
  ...RARE,
  ...REFUSING,
  'loading',
  'database',
])

/** Of the program, and not of Redis. */
const DEFECTS: ReadonlySet<string> = new Set(['TypeError', 'RangeError', 'ReferenceError'])

interface Lasting {
  fault: RedisFault
  readonly sinceMs: number
  lastMs: number
  more: number
}

export class RedisEvents {
  readonly #log: NodeLog
  readonly #instruments: BrokerInstruments
  readonly #lasting = new Map<RedisFaultKind, Lasting>()
  /** Told of each fault; set where something can mend it. */
  onFault: (kind: RedisFaultKind) => void = () => undefined
  readonly #unfit = new Map<RedisSetting, string>()
  #timer: NodeJS.Timeout | undefined
  #isWritable = true

  constructor(log: NodeLog, instruments: BrokerInstruments) {
    this.#log = log
    this.#instruments = instruments
  }

  /** What is wrong now, in one line; undefined: nothing that is known. */
  get trouble(): string | undefined {
    const all = [...this.#lasting.values()].toSorted((one, other) => other.lastMs - one.lastMs)
    const newest = all[0]
    return newest === undefined ? undefined : lineOf(newest.fault)
  }

  /** Of a command that nobody awaits, or of a connection. */
  fault(error: Error): void {
    if (DEFECTS.has(error.name)) {
      this.#log.say('defect', 'error', { what: 'redis', err: error }, 'unexpected error')
      return
    }
    const fault = faultOf(error)
    this.#instruments.counter('redis_faults_total').cell({ kind: fault.kind }).add(1)
    this.onFault(fault.kind)
    const nowMs = performance.now()
    const known = this.#lasting.get(fault.kind)
    if (known !== undefined) {
      Object.assign(known, { fault, lastMs: nowMs, more: known.more + 1 })
      return
    }
    this.#lasting.set(fault.kind, { fault, sinceMs: nowMs, lastMs: nowMs, more: 0 })
    this.#timer ??= setInterval(() => this.#sayAgain(), AGAIN_MS).unref()
    const isRefusal = RARE.has(fault.kind) || REFUSING.has(fault.kind)
    this.#log.say(
      'redis',
      'warn',
      factsOf(fault),
      isRefusal ? 'Redis refuses commands; retrying' : 'Redis connection failed; retrying',
    )
  }

  /** Every server has answered. */
  answered(): void {
    this.#instruments.gauge('redis_up').cell().set(1)
    if (this.#lasting.size === 0) return
    const nowMs = performance.now()
    const kinds: RedisFaultKind[] = []
    let sinceMs = nowMs
    for (const [kind, { sinceMs: began, lastMs }] of this.#lasting) {
      if (nowMs - lastMs < (RARE.has(kind) ? OVER_RARE_MS : OVER_MS)) continue
      if (REFUSING.has(kind) && !this.#isWritable) continue
      this.#lasting.delete(kind)
      kinds.push(kind)
      sinceMs = Math.min(sinceMs, began)
    }
    if (kinds.length === 0) return
    if (this.#lasting.size === 0) this.#stop()
    const seconds = Math.round((nowMs - sinceMs) / 1_000)
    this.#log.say('redis', 'info', { kinds, seconds }, 'Redis works again')
  }

  /** An attempt to start failed. */
  startFailed(error: Error): void {
    if (ANSWERING.has(faultOf(error).kind)) this.fault(error)
    else this.silent(error)
  }

  /** Some server does not answer. */
  silent(error: Error): void {
    this.#instruments.gauge('redis_up').cell().set(0)
    this.fault(error)
  }

  /** What became of the last write. */
  written(isTaken: boolean): void {
    this.#isWritable = isTaken
    this.#instruments
      .gauge('store_writable')
      .cell()
      .set(isTaken ? 1 : 0)
  }

  /** A value that cannot be read is left out, and nothing else. */
  badValue({ kind, key, why: error }: BadValue): void {
    this.#instruments.counter('store_bad_values_total').cell({ key: kind }).add(1)
    this.#log.say(
      'bad-value',
      'error',
      { kind, key, error },
      'skipped a value in Redis that cannot be read',
      kind,
    )
  }

  /** A setting of a server that Breakwater does not work well with; undefined: it is good (again). */
  setting(kind: RedisSetting, why: string | undefined): void {
    const before = this.#unfit.get(kind)
    this.#instruments
      .gauge('redis_setting_ok')
      .cell({ kind })
      .set(why === undefined ? 1 : 0)
    if (before === why) return
    if (why === undefined) {
      this.#unfit.delete(kind)
      this.#log.say('redis', 'info', { setting: kind }, 'Redis setting corrected')
    } else {
      this.#unfit.set(kind, why)
      this.#log.say('redis', 'error', { setting: kind, why }, 'Redis setting must be changed')
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sayAgain(): void {
    for (const lasting of this.#lasting.values()) {
      const { fault, more, sinceMs } = lasting
      if (more === 0) continue
      lasting.more = 0
      const seconds = Math.round((performance.now() - sinceMs) / 1_000)
      this.#log.say(
        'redis',
        'warn',
        { ...factsOf(fault), more, seconds },
        `redis still fails: ${more} more`,
      )
    }
  }
}

function factsOf({ kind, text, advice }: RedisFault): object {
  return { fault: kind, error: text, ...(advice === '' ? {} : { advice }) }
}

/** For whoever reads a probe. */
export function lineOf({ text, advice }: RedisFault): string {
  return advice === '' ? text : `${text}; ${advice}`
}
