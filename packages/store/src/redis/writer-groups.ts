/**
 * The writers of the store, in groups that no script goes beyond: on one server one group of everything; in a
 * cluster one per bucket, made when it is needed, so that a slot that is not served holds up nobody else.
 * Bound: what waits in all groups together; at most as many groups as there are buckets.
 */
import {
  bucketOf,
  type Keys,
  type OnBadValue,
  type Servers,
  type TurnLoad,
} from '@breakwater/redis'
import type { Confirmation } from './confirmation.ts'
import { PublishWriter, type OnWritten, type WriterOptions } from './publish-writer.ts'
import { ReceiptWriter } from './receipt-writer.ts'
import type { Owner, StoreBounds } from '../store.ts'

export interface WriterGroup {
  /** What publishers wait for. */
  readonly publishes: PublishWriter
  /** What receivers have taken: it makes room, and needs no order with the publishes. */
  readonly receipts: ReceiptWriter
  /** The same of shared subscriptions. */
  readonly sharedReceipts: ReceiptWriter
}

export interface WriterGroupsOptions extends Omit<WriterOptions, 'load'> {
  readonly servers: Servers
  readonly keys: Keys
  readonly bounds: StoreBounds
  /** What an acknowledgement asks for beside an answer. */
  readonly confirmation?: Confirmation | undefined
  /** Writes of some group could not be confirmed in time; undefined: all can again. */
  readonly onHeld?: ((why: string | undefined) => void) | undefined
  readonly onWritten?: OnWritten | undefined
  readonly onBadValue?: OnBadValue | undefined
  readonly onFenced: (owner: Owner) => void
}

type Settling = { settled(): Promise<void> }

/** On one server one call may touch every key. */
const ALL = 'all'

export class WriterGroups {
  /** Several groups, each with an order of its own. */
  readonly clustered: boolean
  /** A full queue refuses a publish as a whole. */
  readonly refusing: boolean
  readonly #options: WriterGroupsOptions
  readonly #loads: Readonly<Record<keyof WriterGroup, TurnLoad>> = {
    publishes: { items: 0, bytes: 0 },
    receipts: { items: 0, bytes: 0 },
    sharedReceipts: { items: 0, bytes: 0 },
  }
  readonly #groups = new Map<number | typeof ALL, WriterGroup>()
  readonly #held = new Set<number | typeof ALL>()
  #closed = false

  constructor(options: WriterGroupsOptions) {
    this.#options = options
    this.clustered = options.servers.clustered
    this.refusing = options.bounds.queuePolicy === 'close-publisher'
  }

  /** Of a client id, or the filter of a shared subscription. */
  of(text: string): WriterGroup {
    return this.ofBucket(this.clustered ? bucketOf(text) : 0)
  }

  ofBucket(bucket: number): WriterGroup {
    const name = this.clustered ? bucket : ALL
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const made = this.#make(name)
    this.#groups.set(name, made)
    if (this.#closed) this.close()
    return made
  }

  /** Resolves when everything that was written before has its answer. */
  async settled(of: (group: WriterGroup) => readonly Settling[] = everything): Promise<void> {
    const writers = [...this.#groups.values()].flatMap((group) => of(group))
    await Promise.all(writers.map((writer) => writer.settled()))
  }

  /** The same, of one client. */
  async settledOf(clientId: string): Promise<void> {
    await Promise.all(everything(this.of(clientId)).map((writer) => writer.settled()))
  }

  close(): void {
    this.#closed = true
    for (const { publishes, receipts, sharedReceipts } of this.#groups.values())
      for (const writer of [publishes, receipts, sharedReceipts]) writer.close()
  }

  #hold(name: number | typeof ALL, why: string | undefined): void {
    if (why === undefined) this.#held.delete(name)
    else this.#held.add(name)
    if (why !== undefined || this.#held.size === 0) this.#options.onHeld?.(why)
  }

  #make(name: number | typeof ALL): WriterGroup {
    const { keys, servers, bounds, onFenced } = this.#options
    const loads = this.#loads
    const cut = (): void => servers.of(keys.sessions(Number(name) || 0))?.disconnect(true)
    return {
      publishes: new PublishWriter({
        ...this.#options,
        load: loads.publishes,
        group: name,
        bounds,
        onHeld: (why) => this.#hold(name, why),
      }),
      receipts: new ReceiptWriter({
        ...this.#options,
        load: loads.receipts,
        cut,
        keysOf: (id) => [keys.session(id), keys.queue(id), keys.release(id)],
        onFenced,
      }),
      sharedReceipts: new ReceiptWriter({
        ...this.#options,
        load: loads.sharedReceipts,
        cut,
        keysOf: (filter) => [
          keys.shared(filter),
          keys.sharedQueue(filter),
          keys.sharedMembers(filter),
        ],
        onFenced: () => undefined,
      }),
    }
  }
}

function everything({ publishes, receipts, sharedReceipts }: WriterGroup): readonly Settling[] {
  return [publishes, receipts, sharedReceipts]
}
