/**
 * Writes of one event-loop turn go to Redis together and in order (`TurnQueue` says how); what a server
 * refuses that is out of memory, read-only, loading or without its scripts is sent again, any other error is
 * the command's own.
 *
 * `transaction`: a batch is one MULTI. It happens wholly or not at all, so that nothing of it is overtaken.
 * `pipeline`: each command by itself. A server that is out of memory takes no MULTI at all; what makes room
 * must still get through.
 */
import { TurnQueue, type ItemDone, type Outcome, type Redis } from '@breakwater/redis'
import { loadWrites, type Argument, type Script } from './scripts.ts'

export interface TurnWriterOptions {
  readonly batch: 'transaction' | 'pipeline'
  readonly timeoutMs: number
  readonly pendingWritesMax: number
  readonly pendingBytesMax: number
  readonly onFault: (error: Error) => void
}

type Words = readonly [command: string, ...args: Argument[]]
type Result = readonly [error: Error | null, result?: unknown]

const BATCH_COMMANDS_MAX = 1_000
const BATCH_BYTES_MAX = 4 * 1_048_576

/** The server's word that a command did not happen, and may at another time. */
const REFUSED = /^(NOSCRIPT|OOM|READONLY|LOADING|MASTERDOWN|NOREPLICAS|MISCONF|BUSY) /

export class TurnWriter {
  readonly #redis: Redis
  readonly #queue: TurnQueue<Words>
  readonly #batch: TurnWriterOptions['batch']

  constructor(redis: Redis, options: TurnWriterOptions) {
    this.#redis = redis
    this.#batch = options.batch
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
    const results = await (this.#batch === 'transaction'
      ? this.#transaction(batch)
      : this.#pipeline(batch))
    const outcomes = results.map(([error, result]): Outcome =>
      error === null ? { result } : { error: reasonOf(error), again: mayHappenYet(error) },
    )
    // What fails here fails again where a script is missed.
    if (outcomes.some(({ error }) => error?.message.startsWith('NOSCRIPT') === true))
      await loadWrites(this.#redis).catch(() => undefined)
    return outcomes
  }

  async #pipeline(batch: readonly Words[]): Promise<readonly Result[]> {
    const pipeline = this.#redis.pipeline()
    for (const words of batch) pipeline.callBuffer(...words)
    return (await pipeline.exec()) ?? []
  }

  async #transaction(batch: readonly Words[]): Promise<readonly Result[]> {
    const transaction = this.#redis.multi()
    for (const words of batch) transaction.callBuffer(...words)
    try {
      const results = await transaction.exec()
      if (results === null) throw new Error('the transaction was discarded')
      return results
    } catch (error) {
      throw reasonOf(error as Error)
    }
  }
}

/** Without an answer nobody knows: at least once, as QoS 1 allows. */
function mayHappenYet(error: Error): boolean {
  return error.name !== 'ReplyError' || REFUSED.test(error.message)
}

/** ioredis puts a lost connection in terms of its own retries, and a refusal of MULTI behind EXECABORT. */
function reasonOf(error: Error & { previousErrors?: readonly Error[] }): Error {
  if (error.name === 'MaxRetriesPerRequestError')
    return new Error('connection lost', { cause: error })
  return error.previousErrors?.[0] ?? error
}
