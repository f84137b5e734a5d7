/**
 * What sessions have sent and their clients have taken: it makes room, and needs no order with the publishes.
 * All of one session and turn is one script call; each stands alone, since a server that is out of memory
 * must still take what frees some. A call that happens twice changes nothing the second time.
 */
import {
  failureOf,
  isBadValue,
  mend,
  type OnBadValue,
  sendAll,
  TurnQueue,
  type Outcome,
  type ScriptCall,
  type Servers,
} from '@breakwater/redis'
import type { WriterOptions } from './publish-writer.ts'
import { FENCED } from '../scripts/scripts.ts'
import { FencedError, type Owner } from '../store.ts'
import { loadWrites, RECEIPT } from '../scripts/write-scripts.ts'

export interface ReceiptWriterOptions extends WriterOptions {
  /** Session, queue and release of an owner. */
  readonly keysOf: (clientId: string) => ReceiptKeys
  /** Gives up the connection on which it waits. */
  readonly cut: () => void
  readonly onFenced: (owner: Owner) => void
  readonly onBadValue?: OnBadValue | undefined
}

export type ReceiptKeys = readonly [session: string, queue: string, release: string]
type ReceiptDone = (error?: Error) => void

interface Receipt {
  readonly owner: Owner
  sent: number
  /** Position and bytes in turn. */
  readonly settled: number[]
  readonly released: number[]
  readonly completed: number[]
  readonly waiting: ReceiptDone[]
  entries: number
}

const BATCH_RECEIPTS_MAX = 1_000
/** What Lua unpacks at once is bounded. */
const RECEIPT_ENTRIES_MAX = 1_000
const BYTES_PER_ENTRY = 16

export class ReceiptWriter {
  readonly #servers: Servers
  readonly #keysOf: (clientId: string) => ReceiptKeys
  readonly #onFenced: (owner: Owner) => void
  readonly #onBadValue: OnBadValue
  readonly #queue: TurnQueue<Receipt>
  /** Not sent yet: more of the same owner joins them. */
  readonly #open = new Map<string, Receipt>()

  constructor(options: ReceiptWriterOptions) {
    this.#servers = options.servers
    this.#keysOf = options.keysOf
    this.#onFenced = options.onFenced
    this.#onBadValue = options.onBadValue ?? (() => undefined)
    this.#queue = new TurnQueue({
      send: (receipts) => this.#send(receipts),
      cut: options.cut,
      onFault: options.onFault,
      timeoutMs: options.timeoutMs,
      batchItemsMax: BATCH_RECEIPTS_MAX,
      batchBytesMax: options.pendingBytesMax,
      itemsMax: options.pendingWritesMax,
      bytesMax: options.pendingBytesMax,
      load: options.load,
    })
  }

  sent(owner: Owner, position: number): void {
    const receipt = this.#of(owner)
    if (receipt.sent < position) receipt.sent = position
  }

  settle(owner: Owner, position: number, bytes: number, done?: ReceiptDone): void {
    const receipt = this.#of(owner, done)
    receipt.settled.push(position, bytes)
    receipt.entries += 1
  }

  release(
    owner: Owner,
    { position, bytes, packetId }: { position: number; bytes: number; packetId: number },
    done: ReceiptDone,
  ): void {
    const receipt = this.#of(owner, done)
    receipt.settled.push(position, bytes)
    receipt.released.push(packetId)
    receipt.entries += 1
  }

  complete(owner: Owner, packetId: number): void {
    const receipt = this.#of(owner)
    receipt.completed.push(packetId)
    receipt.entries += 1
  }

  settled(): Promise<void> {
    return this.#queue.settled()
  }

  close(): void {
    this.#queue.close()
  }

  #of(owner: Owner, done?: ReceiptDone): Receipt {
    const open = this.#open.get(owner.clientId)
    if (open?.owner.epoch === owner.epoch && open.entries < RECEIPT_ENTRIES_MAX) {
      if (done !== undefined) open.waiting.push(done)
      return open
    }
    const receipt: Receipt = {
      owner,
      sent: 0,
      settled: [],
      released: [],
      completed: [],
      waiting: done === undefined ? [] : [done],
      entries: 0,
    }
    this.#open.set(owner.clientId, receipt)
    this.#queue.push(receipt, BYTES_PER_ENTRY, (error, result) => {
      if (this.#open.get(owner.clientId) === receipt) this.#open.delete(owner.clientId)
      const fenced = error === undefined && result === FENCED
      if (fenced) this.#onFenced(owner)
      const failure = fenced ? new FencedError(owner.clientId) : error
      for (const waiting of receipt.waiting) waiting(failure)
    })
    return receipt
  }

  async #send(receipts: readonly Receipt[]): Promise<readonly Outcome[]> {
    for (const receipt of receipts)
      if (this.#open.get(receipt.owner.clientId) === receipt)
        this.#open.delete(receipt.owner.clientId)
    const calls = receipts.map((receipt) => this.#command(receipt))
    const results = await sendAll(this.#servers, calls, loadWrites)
    return await Promise.all(
      results.map(async ([error, result], index) => {
        if (error === null) return { result }
        const keys = this.#keysOf((receipts[index] as Receipt).owner.clientId)
        const isMended = await this.#mend(error, keys)
        return isMended ? { error, again: true } : failureOf(error)
      }),
    )
  }

  /** Whether it was refused for what one of these keys held, and would not be again. */
  async #mend(error: Error, keys: ReceiptKeys): Promise<boolean> {
    const redis = this.#servers.of(keys[0])
    if (redis?.status !== 'ready' || !isBadValue(error)) return false
    try {
      return await mend(redis, keys, this.#onBadValue)
    } catch {
      return false
    }
  }

  #command({ owner, sent, settled, released, completed }: Receipt): ScriptCall {
    const { clientId, epoch } = owner
    const keys = this.#keysOf(clientId)
    return [
      'evalsha',
      RECEIPT.sha,
      keys.length,
      ...keys,
      epoch,
      sent,
      settled.length / 2,
      ...settled,
      released.length,
      ...released,
      ...completed,
    ]
  }
}
