/**
 * Writes of one event-loop turn go to Redis as one MULTI, in order; the next batch waits for the answer.
 *
 * In: commands with a callback. Out: callbacks in the order of the calls. A batch happens wholly or not at
 * all; after a lost connection or a refusing server (out of memory, read-only, loading) it is sent again
 * from its first command, never out of order. Only a lost *answer* can make a batch happen twice: at least
 * once, as QoS 1 allows. Bounds: `batchCommandsMax` per MULTI; `timeoutMs` per command, then its callback
 * gets the error.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from '@breakwater/redis'
import { SCRIPTS, type Script } from './scripts.ts'

export type CommandDone = (error: Error | undefined, result?: unknown) => void
export type Argument = string | number | Buffer

interface Command {
  readonly words: readonly [string, ...Argument[]]
  readonly done: CommandDone | undefined
  readonly deadline: number
}

const BATCH_COMMANDS_MAX = 1_000
const RETRY_MS = 100

export class TurnWriter {
  readonly #redis: Redis
  readonly #timeoutMs: number
  #waiting: Command[] = []
  #flushing = false
  #closed = false

  constructor(redis: Redis, timeoutMs: number) {
    this.#redis = redis
    this.#timeoutMs = timeoutMs
    redis.on('ready', () => void loadScripts(redis).catch(() => undefined))
  }

  get waiting(): number {
    return this.#waiting.length
  }

  command(words: readonly [string, ...Argument[]], done?: CommandDone): void {
    this.#waiting.push({ words, done, deadline: performance.now() + this.#timeoutMs })
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => void this.#flush())
  }

  script(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    done?: CommandDone,
  ): void {
    this.command(['evalsha', script.sha, script.keys, ...keys, ...args], done)
  }

  /** Resolves when everything that was written before has its answer. */
  async settled(): Promise<void> {
    if (this.#waiting.length === 0) return
    await new Promise<void>((resolve) => this.command(['ping'], () => resolve()))
  }

  close(): void {
    this.#closed = true
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH_COMMANDS_MAX)
      const failure = await this.#execute(batch)
      if (failure === undefined) {
        this.#waiting.splice(0, batch.length)
        continue
      }
      const now = performance.now()
      const inTime = batch.findIndex((command) => command.deadline > now && !this.#closed)
      const late = this.#waiting.splice(0, inTime === -1 ? batch.length : inTime)
      for (const { done } of late) done?.(failure)
      if (inTime !== -1) await delay(RETRY_MS)
    }
    this.#flushing = false
  }

  /** The error of a batch that did not happen, or undefined after all callbacks were called. */
  async #execute(batch: readonly Command[]): Promise<Error | undefined> {
    const transaction = this.#redis.multi()
    for (const { words } of batch) transaction.callBuffer(...words)
    let results: [Error | null, unknown][] | null
    try {
      results = await transaction.exec()
    } catch (error) {
      return error as Error
    }
    if (results === null) return new Error('the transaction was discarded')
    const missing = results.find(([error]) => error?.message.startsWith('NOSCRIPT') === true)?.[0]
    if (missing !== undefined && missing !== null) await loadScripts(this.#redis)
    for (const [index, { words, done }] of batch.entries()) {
      const [error, result] = results[index] ?? [new Error('no answer'), undefined]
      // Somebody flushed the scripts of a running server: this command alone did not happen.
      if (error?.message.startsWith('NOSCRIPT') === true) this.command(words, done)
      else done?.(error ?? undefined, result)
    }
    return undefined
  }
}

export async function loadScripts(redis: Redis): Promise<void> {
  await Promise.all(SCRIPTS.map(({ source }) => redis.script('LOAD', source)))
}
