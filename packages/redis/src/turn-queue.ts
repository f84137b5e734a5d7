/**
 * Work for Redis, one batch at a time and in order.
 *
 * In: items; those of one event-loop turn travel together. Out: `done` of each, exactly once, in the order
 * of the pushes. The next batch waits for the answer to the one before, so nothing overtakes what has to be
 * sent again. What did not happen is sent again, in order, until its time is up; what did is not, also where
 * it has to wait for the `done` of an earlier item. Only a lost *answer* can make a batch happen twice.
 *
 * Bounds: `batchItemsMax` and `batchBytesMax` per batch (one item at least), `itemsMax` and `bytesMax`
 * waiting: beyond these a push is refused. `timeoutMs` per item, then `done` gets the error; a connection
 * that has not answered by then is cut.
 */
import { setTimeout as delay } from 'node:timers/promises'

/** What became of one item: a result, an error, or (`again`) nothing yet. */
export interface Outcome {
  readonly error?: Error | undefined
  readonly result?: unknown
  readonly again?: boolean
}

/** What waits in one queue, or in several that share their bounds. */
export interface TurnLoad {
  items: number
  bytes: number
}

export type ItemDone = (error: Error | undefined, result?: unknown) => void

export interface TurnQueueOptions<Item> {
  /**
   * Sends a batch; one outcome per item. Rejects when nothing is known to have happened. `first` is the
   * number of the first item in the life of this queue; the others follow without gaps, unless a part of a
   * batch had to be sent again. `cutAtMs`: when the connection is cut, by `performance.now()`.
   */
  readonly send: (
    items: readonly Item[],
    first: number,
    cutAtMs: number,
  ) => Promise<readonly Outcome[]>
  /** Gives up a connection that does not answer: a `send` under way must reject soon. */
  readonly cut: () => void
  /** A callback that throws is a fault of its owner; the queue goes on. */
  readonly onFault: (error: Error) => void
  readonly timeoutMs: number
  readonly batchItemsMax: number
  readonly batchBytesMax: number
  readonly itemsMax: number
  readonly bytesMax: number
  /** Of all queues to which `itemsMax` and `bytesMax` apply together; undefined: of this one alone. */
  readonly load?: TurnLoad
}

interface Entry<Item> {
  readonly item: Item
  readonly bytes: number
  readonly done: ItemDone | undefined
  readonly deadline: number
  outcome: Outcome | undefined
}

const RETRY_MS = 100
/** An item that is sent late in its time still gets so long for an answer: the connection is not at fault. */
const ANSWER_MIN_MS = 250
const COMPACT_AT = 1_024
const CLOSED = 'closed: nothing is sent to Redis any more'

export class TurnQueue<Item> {
  readonly #options: TurnQueueOptions<Item>
  #entries: (Entry<Item> | undefined)[] = []
  #head = 0
  readonly #load: TurnLoad
  #left = 0
  #running = false
  #closed = false
  #waiters: { readonly count: number; readonly resolve: () => void }[] = []

  constructor(options: TurnQueueOptions<Item>) {
    this.#options = options
    this.#load = options.load ?? { items: 0, bytes: 0 }
  }

  /** Items whose `done` is owed. */
  get size(): number {
    return this.#entries.length - this.#head
  }

  push(item: Item, bytes: number, done?: ItemDone): void {
    const { timeoutMs } = this.#options
    const refusal = this.#refusal(bytes)
    if (refusal !== undefined) {
      this.#callBack(done, { error: new Error(refusal) })
      return
    }
    const deadline = performance.now() + timeoutMs
    this.#entries.push({ item, bytes, done, deadline, outcome: undefined })
    this.#load.items += 1
    this.#load.bytes += bytes
    if (this.#running) return
    this.#running = true
    setImmediate(() => void this.#run())
  }

  /** Resolves when everything that was pushed before has called back. */
  async settled(): Promise<void> {
    if (this.size === 0) return
    const count = this.#left + this.size
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }))
  }

  /** Nothing more is taken or sent; what waits gets an error, what is under way may still happen. */
  close(): void {
    this.#closed = true
    this.#giveUp(undefined)
  }

  #refusal(bytes: number): string | undefined {
    const { itemsMax, bytesMax } = this.#options
    if (this.#closed) return CLOSED
    const load = this.#load
    if (load.items >= itemsMax) return `full: ${itemsMax} items wait for Redis`
    if (load.bytes + bytes > bytesMax && load.items > 0)
      return `full: ${load.bytes} bytes wait for Redis`
    return undefined
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.size > 0) {
      const failure = await this.#send(this.#nextBatch())
      this.#leave()
      if (failure === undefined) continue
      this.#giveUp(failure)
      if (this.size > 0) await delay(RETRY_MS)
    }
    this.#running = false
  }

  #nextBatch(): Entry<Item>[] {
    const { batchItemsMax, batchBytesMax } = this.#options
    const batch: Entry<Item>[] = []
    let bytes = 0
    for (let index = this.#head; index < this.#entries.length; index += 1) {
      const entry = this.#entries[index] as Entry<Item>
      // It happened, and waits for an earlier one that did not.
      if (entry.outcome !== undefined) continue
      bytes += entry.bytes
      if (batch.length === batchItemsMax || (bytes > batchBytesMax && batch.length > 0)) break
      batch.push(entry)
    }
    return batch
  }

  /** Returns why some of the batch, or all of it, did not happen. */
  async #send(batch: readonly Entry<Item>[]): Promise<Error | undefined> {
    const { send, cut } = this.#options
    const now = performance.now()
    // A timer may come a part of a millisecond early.
    const timeLeft = Math.max((batch[0]?.deadline ?? 0) - now + 1, ANSWER_MIN_MS)
    const timer = setTimeout(cut, timeLeft)
    let failure: Error | undefined
    try {
      const outcomes = await send(
        batch.map(({ item }) => item),
        this.#left + 1,
        now + timeLeft,
      )
      for (const [index, entry] of batch.entries()) {
        const outcome = outcomes[index] ?? { error: new Error('no answer') }
        if (outcome.again === true) failure ??= outcome.error ?? new Error('not done')
        else entry.outcome = outcome
      }
    } catch (error) {
      failure = error as Error
    }
    clearTimeout(timer)
    return failure
  }

  #leave(): void {
    for (;;) {
      const outcome = this.#entries[this.#head]?.outcome
      if (outcome === undefined) return
      this.#shift(outcome)
    }
  }

  /** Deadlines rise with the position: what is late is at the front. */
  #giveUp(reason: Error | undefined): void {
    const now = performance.now()
    for (;;) {
      const entry = this.#entries[this.#head]
      if (entry === undefined || (entry.deadline > now && !this.#closed)) return
      this.#shift(entry.outcome ?? { error: this.#lateness(reason) })
      this.#leave()
    }
  }

  #lateness(reason: Error | undefined): Error {
    if (this.#closed) return new Error(CLOSED)
    const why = reason === undefined ? '' : `: ${reason.message}`
    return new Error(`not taken by Redis within ${this.#options.timeoutMs} ms${why}`, {
      cause: reason,
    })
  }

  #shift(outcome: Outcome): void {
    const entry = this.#entries[this.#head] as Entry<Item>
    this.#entries[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#entries.length || this.#head === COMPACT_AT) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
    this.#load.items -= 1
    this.#load.bytes -= entry.bytes
    this.#left += 1
    this.#callBack(entry.done, outcome)
    while ((this.#waiters[0]?.count ?? Infinity) <= this.#left) this.#waiters.shift()?.resolve()
  }

  #callBack(done: ItemDone | undefined, { error, result }: Outcome): void {
    try {
      done?.(error, result)
    } catch (fault) {
      this.#options.onFault(fault as Error)
    }
  }
}
