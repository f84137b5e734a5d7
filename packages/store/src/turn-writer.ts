/**
 * Writes of one event-loop turn go to Redis as one MULTI, in order (`TurnQueue` says how). A batch happens
 * wholly or not at all, but each command in it may be refused by itself: what a server refuses that is out of
 * memory, read-only, loading or without its scripts is sent again; any other error is the command's own.
 */
import { TurnQueue, type ItemDone, type Outcome, type Redis } from '@breakwater/redis'
import { loadWrites, type Argument, type Script } from './scripts.ts'

export interface TurnWriterOptions {
  readonly timeoutMs: number
  readonly pendingWritesMax: number
  readonly pendingBytesMax: number
  readonly onFault: (error: Error) => void
}

type Words = readonly [command: string, ...args: Argument[]]

const BATCH_COMMANDS_MAX = 1_000
const BATCH_BYTES_MAX = 4 * 1_048_576

/** The command did not happen, and may at another time. */
const REFUSED = /^(NOSCRIPT|OOM|READONLY|LOADING|MASTERDOWN|NOREPLICAS|MISCONF|BUSY) /

export class TurnWriter {
  readonly #redis: Redis
  readonly #queue: TurnQueue<Words>

  constructor(redis: Redis, options: TurnWriterOptions) {
    this.#redis = redis
    this.#queue = new TurnQueue({
      send: (batch) => this.#send(batch),
      cut: () => redis.disconnect(true),
      onFault: options.onFault,
      timeoutMs: options.timeoutMs,
      batchItemsMax: BATCH_COMMANDS_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      itemsMax: options.pendingWritesMax,
      bytesMax: options.pendingBytesMax,
    })
    // A server that was started again knows no scripts.
    redis.on('ready', () => void this.#load())
  }

  /** `bytes`: what it holds in memory, as far as no other write holds the same. */
  command(words: Words, done?: ItemDone, bytes = 0): void {
    this.#queue.push(words, bytes, done)
  }

  script(
    { sha }: Script,
    keys: readonly string[],
    args: readonly Argument[],
    done?: ItemDone,
    bytes = 0,
  ): void {
    this.#queue.push(['evalsha', sha, keys.length, ...keys, ...args], bytes, done)
  }

  /** Resolves when everything that was written before has its answer. */
  settled(): Promise<void> {
    return this.#queue.settled()
  }

  close(): void {
    this.#queue.close()
  }

  async #send(batch: readonly Words[]): Promise<readonly Outcome[]> {
    if (this.#redis.status !== 'ready') throw new Error('no connection')
    const transaction = this.#redis.multi()
    for (const words of batch) transaction.callBuffer(...words)
    const results = await this.#execute(transaction)
    if (results === null) throw new Error('the transaction was discarded')
    const outcomes = results.map(([error, result]): Outcome =>
      error === null ? { result } : { error, again: REFUSED.test(error.message) },
    )
    if (outcomes.some(({ error }) => error?.message.startsWith('NOSCRIPT'))) await this.#load()
    return outcomes
  }

  async #execute(
    transaction: ReturnType<Redis['multi']>,
  ): Promise<[Error | null, unknown][] | null> {
    try {
      return await transaction.exec()
    } catch (error) {
      // ioredis puts the loss of a connection in terms of its own retries.
      const lost = (error as Error).name === 'MaxRetriesPerRequestError'
      throw lost ? new Error('connection lost', { cause: error }) : error
    }
  }

  /** What fails here fails again where the script is missed. */
  async #load(): Promise<void> {
    await loadWrites(this.#redis).catch(() => undefined)
  }
}
