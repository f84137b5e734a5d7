/**
 * Writes of publishers, exactly once and in order. Each has a number that rises; those of one event-loop turn
 * go to Redis in one script call, which skips what it has executed before: what is sent again because an
 * answer was lost changes nothing. A turn with many queues takes several calls, sent in one go; each names the
 * last number of the call before it, so that nothing overtakes a call that was refused.
 *
 * Where an acknowledgement asks for more than an answer (confirmation.ts), it is asked for once a turn, behind its
 * calls. Until it is there the writes are not done: they stay in the queue and are asked for again, on the same
 * connection; on another one they are sent again first. Too late, they fail like those without an answer.
 */
import { randomUUID } from 'node:crypto'
import {
  failureOf,
  kindOfKey,
  sendTo,
  TurnQueue,
  type Keys,
  type OnBadValue,
  type Outcome,
  type Result,
  type ScriptCall,
  type Servers,
  type TurnLoad,
} from '@breakwater/redis'
import type { Confirmation } from './confirmation.ts'
import type { Argument } from '../scripts/scripts.ts'
import { QueueFullError, type QueuePolicy, type StoreBounds } from '../store.ts'
import { RetainedFullError, roomMin } from '../share-bounds.ts'
import { BATCH, loadWrites, POLICY, REFUSED, RETAINED_FULL } from '../scripts/write-scripts.ts'

/** One operation of BATCH; a message that several name is sent once per call. */
export interface Operation {
  readonly keys: readonly string[]
  readonly words: readonly (Argument | { readonly message: Buffer })[]
}

export interface WriterOptions {
  readonly servers: Servers
  /** Of all writers of a kind. */
  readonly load: TurnLoad
  readonly timeoutMs: number
  readonly pendingWritesMax: number
  readonly pendingBytesMax: number
  readonly onFault: (error: Error) => void
}

export interface PublishWriterOptions extends WriterOptions {
  readonly keys: Keys
  /** What one call may touch: everything, or one bucket of a cluster. */
  readonly group: string | number
  readonly bounds: StoreBounds
  /** What an acknowledgement asks for beside an answer. */
  readonly confirmation?: Confirmation | undefined
  /** Writes that were executed and could not be confirmed in time; undefined: the first that could again. */
  readonly onHeld?: ((why: string | undefined) => void) | undefined
  readonly onWritten?: OnWritten | undefined
  readonly onBadValue?: OnBadValue | undefined
}

/** What became of a turn's writes: all were taken, or why some were not. */
export type OnWritten = (error: Error | undefined) => void

/** `answer`: how many messages made room, then a position per queue. */
export type WriteDone = (error: Error | undefined, answer?: readonly number[]) => void

interface Write {
  readonly number: number
  /** Of the first write of the same message; all behind one that is refused are refused. */
  readonly first: number
  readonly queues: number
  readonly operations: readonly Operation[]
}

/** So long a call holds the server up: about 2 ms. */
const CALL_QUEUES_MAX = 512
const BATCH_WRITES_MAX = 1_000
const BATCH_BYTES_MAX = 4 * 1_048_576
/** Far longer than anything is sent again. */
const MARK_LIFETIME_MS = 3_600_000

export class PublishWriter {
  readonly #servers: Servers
  readonly #mark: string
  readonly #bounds: readonly Argument[]
  readonly #queue: TurnQueue<Write>
  readonly #confirmation: Confirmation | undefined
  readonly #onHeld: (why: string | undefined) => void
  readonly #onWritten: OnWritten
  readonly #onBadValue: OnBadValue
  /** By number: executed on that connection and not confirmed. Those of one batch at most. */
  #executed: ReadonlyMap<number, Outcome> = NOTHING_EXECUTED
  #executedOn = 0
  #held = false
  #number = 0

  constructor(options: PublishWriterOptions) {
    const { servers, keys, group, bounds, confirmation, onHeld, onWritten } = options
    this.#onBadValue = options.onBadValue ?? (() => undefined)
    this.#onWritten = onWritten ?? (() => undefined)
    this.#servers = servers
    this.#confirmation = confirmation
    this.#onHeld = onHeld ?? (() => undefined)
    this.#mark = keys.writer(group, randomUUID())
    const policy: QueuePolicy = bounds.queuePolicy ?? 'drop-oldest'
    const { queueMessagesMax, queueBytesMax, shares } = bounds
    this.#bounds = [queueMessagesMax, queueBytesMax, `${POLICY[policy]}${roomMin(shares)}`]
    this.#queue = new TurnQueue({
      send: (writes, _, cutAtMs) => this.#sendAndTell(writes, cutAtMs),
      cut: () => servers.of(this.#mark)?.disconnect(true),
      onFault: options.onFault,
      timeoutMs: options.timeoutMs,
      batchItemsMax: BATCH_WRITES_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      itemsMax: options.pendingWritesMax,
      bytesMax: options.pendingBytesMax,
      load: options.load,
    })
  }

  /**
   * `bytes`: what it holds in memory, as far as no other write holds the same. `before`: how many of the writes
   * just before it belong to the same message.
   */
  write(
    operations: readonly Operation[],
    { queues, bytes, before = 0 }: { queues: number; bytes: number; before?: number },
    done: WriteDone,
  ): void {
    this.#number += 1
    const number = this.#number
    const write = { number, first: number - before, queues, operations }
    this.#queue.push(write, bytes, (error, answer) =>
      done(error, answer as readonly number[] | undefined),
    )
  }

  /**
   * Has what was done before on other connections to the same server confirmed: what is written now comes behind
   * it, and so does whatever is confirmed of it. `since`: `connection` before it was done.
   *
   * @param done given an error where this connection was lost meanwhile: its successor may lead to another server
   */
  confirm(since: number, done: (error?: Error) => void): void {
    this.write([], { queues: 0, bytes: 0 }, (error) =>
      done(error ?? (since === this.connection ? undefined : new Error('connection lost'))),
    )
  }

  /** Another one each time that the connection comes or goes, or is one to another server. */
  get connection(): number {
    return this.#servers.lifeOf(this.#mark)
  }

  /** Resolves when everything that was written before has its answer. */
  settled(): Promise<void> {
    return this.#queue.settled()
  }

  close(): void {
    this.#queue.close()
  }

  async #sendAndTell(writes: readonly Write[], cutAtMs: number): Promise<readonly Outcome[]> {
    try {
      const outcomes = await this.#send(writes, cutAtMs)
      this.#onWritten(outcomes.find(({ again }) => again === true)?.error)
      return outcomes
    } catch (error) {
      this.#onWritten(error as Error)
      throw error
    }
  }

  async #send(writes: readonly Write[], cutAtMs: number): Promise<readonly Outcome[]> {
    const confirmation = this.#confirmation
    const redis = this.#servers.of(this.#mark)
    const { connection } = this
    const executed = connection === this.#executedOn ? this.#executed : NOTHING_EXECUTED
    const fresh =
      executed.size === 0 ? writes : writes.filter(({ number }) => !executed.has(number))
    const calls = callsOf(fresh)
    const open = (writes[0] as Write).first
    let before = 0
    const commands = calls.map((call) => {
      const command = this.#command(call, before, open)
      before = (call.at(-1) as Write).number
      return command
    })
    const outcomesIn = (results: readonly Result[]): Outcome[] =>
      calls.flatMap((call, index) => this.#outcomesOf(call, results[index]))
    if (confirmation === undefined) return outcomesIn(await sendTo(redis, commands, loadWrites))
    this.#executed = NOTHING_EXECUTED
    const { results, lack } = await confirmation.send(redis, commands, cutAtMs)
    const made = outcomesIn(results)
    let next = 0
    const outcomes = writes.map(({ number }) => executed.get(number) ?? (made[next++] as Outcome))
    const isExecuted = ({ again }: Outcome): boolean => again !== true
    // Refused writes and lost connections have words of their own.
    const isSaid = lack?.later === true || lack?.error.name === 'ReplyError'
    if (lack === undefined || (isSaid && outcomes.some(isExecuted))) this.#reportHeld(lack?.error)
    if (lack === undefined) return outcomes
    if (lack.later && connection === this.connection) {
      this.#executedOn = connection
      this.#executed = new Map(
        writes.flatMap(({ number }, index) => {
          const outcome = outcomes[index] as Outcome
          return isExecuted(outcome) ? [[number, outcome] as const] : []
        }),
      )
    }
    return outcomes.map((outcome) =>
      isExecuted(outcome) ? { error: lack.error, again: true } : outcome,
    )
  }

  #outcomesOf(call: readonly Write[], [error, result]: Result = [NO_ANSWER]): readonly Outcome[] {
    if (error !== null) return call.map(() => failureOf(error))
    const answers = result as readonly (readonly (number | Buffer)[] | Buffer)[]
    // Behind the answers: keys that held what could not be read.
    const bad = (answers[call.length] ?? []) as readonly Buffer[]
    for (let index = 0; index + 1 < bad.length; index += 2) {
      const key = String(bad[index])
      this.#onBadValue({ kind: kindOfKey(key).kind, key, why: String(bad[index + 1]) })
    }
    return answers
      .slice(0, call.length)
      .map((answer) =>
        Buffer.isBuffer(answer) ? { error: errorOf(answer.toString()) } : { result: answer },
      )
  }

  #reportHeld(why: Error | undefined): void {
    if (why === undefined && !this.#held) return
    this.#held = why !== undefined
    this.#onHeld(why?.message)
  }

  #command(call: readonly Write[], before: number, open: number): ScriptCall {
    const keys: string[] = []
    const words: Argument[] = []
    const messages = new Map<Buffer, number>()
    for (const { number, first, operations } of call) {
      words.push('I', number)
      if (first !== number) words.push('F', first)
      for (const operation of operations) {
        for (const key of operation.keys) keys.push(key)
        for (const word of operation.words) {
          if (typeof word !== 'object' || Buffer.isBuffer(word)) {
            words.push(word)
            continue
          }
          const place = messages.get(word.message) ?? messages.size + 1
          messages.set(word.message, place)
          words.push(place)
        }
      }
    }
    const last = (call.at(-1) as Write).number
    const head = [before, last, MARK_LIFETIME_MS, ...this.#bounds, open, messages.size]
    return [
      'evalsha',
      BATCH.sha,
      keys.length + 1,
      this.#mark,
      ...keys,
      ...head,
      ...messages.keys(),
      ...words,
    ]
  }
}

/** In order, so that no call touches too many queues; one write at least. */
function callsOf(writes: readonly Write[]): Write[][] {
  const calls: Write[][] = []
  let weight = Infinity
  for (const write of writes) {
    const own = Math.max(1, write.queues)
    if (weight + own > CALL_QUEUES_MAX) {
      calls.push([])
      weight = 0
    }
    calls.at(-1)?.push(write)
    weight += own
  }
  return calls
}

function errorOf(text: string): Error {
  if (text === REFUSED) return new QueueFullError()
  return text === RETAINED_FULL ? new RetainedFullError() : new Error(text)
}

const NOTHING_EXECUTED: ReadonlyMap<number, Outcome> = new Map()
const NO_ANSWER = new Error('no answer')
