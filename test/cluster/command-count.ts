/**
 * The commands that nodes send to Redis, as Redis sees them: those of scripts are left out, and what nodes send
 * by the clock, whether anything happens or not.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { monitorRedis } from '../kit/redis/redis-monitor.ts'

const QUIET_MS = 150
/** A route is withdrawn a second after its last subscriber: what went before must not be counted. */
const SETTLED_MS = 1_200
const FENCE_MS = 20
/** `zcard`: how many sessions there are, for `$SYS` and the metrics. */
const BY_THE_CLOCK = new Set(['ping', 'info', 'client', 'echo', 'zcard'])

export interface Counted<Result> {
  readonly result: Result
  /** How often each command was sent. */
  readonly commands: Readonly<Record<string, number>>
  readonly total: number
}

export class CommandCount implements Disposable {
  readonly #operator: Redis
  #monitor: Disposable | undefined
  /** The id that each reader asked for last. */
  readonly #asked = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  #fences = 0
  #fenceSeen = 0
  #changedAt = 0

  private constructor(operator: Redis) {
    this.#operator = operator
  }

  static async on(url: string): Promise<CommandCount> {
    const count = new CommandCount(new Redis(url))
    count.#monitor = await monitorRedis(url, ({ words, isOfScript, source }) => {
      if (!isOfScript) count.#see(words, source)
    })
    return count
  }

  /** What went before has had its last consequence: called where clients have left. */
  async settled(): Promise<void> {
    await this.#quiet(SETTLED_MS)
  }

  /** What was sent from the call on until nothing more followed. */
  async of<Result>(work: () => Promise<Result>): Promise<Counted<Result>> {
    await this.#quiet(QUIET_MS)
    this.#counts.clear()
    const result = await work()
    await this.#quiet(QUIET_MS)
    const commands = Object.fromEntries(this.#counts)
    const total = Object.values(commands).reduce((sum, count) => sum + count, 0)
    return { result, commands, total }
  }

  [Symbol.dispose](): void {
    this.#monitor?.[Symbol.dispose]()
    this.#operator.disconnect()
  }

  #see(words: readonly string[], source: string): void {
    const command = words[0]?.toLowerCase() ?? ''
    if (command === 'echo') this.#fenceSeen = Number(words[1])
    if (BY_THE_CLOCK.has(command) || isRenewal(words) || isOfInbox(words)) return
    if (isOfRevocations(words) || isOfRetainedBytes(words)) return
    if (command === 'xread') {
      const [stream = '', id = ''] = words.slice(-2)
      const reader = `${source} ${stream}`
      const before = this.#asked.get(reader)
      this.#asked.set(reader, id)
      // Nothing came within the time for which it waits.
      if (before === id) return
    }
    this.#counts.set(command, (this.#counts.get(command) ?? 0) + 1)
    this.#changedAt = performance.now()
  }

  /** Everything that was sent has been seen, and nothing followed for a while. */
  async #quiet(forMs: number): Promise<void> {
    this.#changedAt = performance.now()
    do {
      this.#fences += 1
      await this.#operator.echo(`${this.#fences}`)
      while (this.#fenceSeen < this.#fences) await delay(1)
      await delay(FENCE_MS)
    } while (performance.now() - this.#changedAt < forMs)
  }
}

/** Of a lease. */
function isRenewal(words: readonly string[]): boolean {
  return words.slice(2, 9).some((word) => word.endsWith(':leases'))
}

/** A node looks whether the list has changed. */
function isOfRevocations([command, key = '']: readonly string[]): boolean {
  return command === 'hget' && key.endsWith(':revocations')
}

/** How many bytes are retained, for the metrics. */
function isOfRetainedBytes([command, key = '']: readonly string[]): boolean {
  return command === 'hget' && key.endsWith(':retained-usage')
}

/** A node looks whether its inbox is still there, and asks how far it is behind: the last word is an id. */
function isOfInbox([command, first = '', , inbox = '', , , id = '']: readonly string[]): boolean {
  if (command === 'xinfo') return true
  if (command === 'hget' || command === 'pexpire') return /:inbox(?:-bytes)?$/.test(first)
  return command === 'evalsha' && inbox.endsWith(':inbox') && /^\d+-\d+$/.test(id)
}
