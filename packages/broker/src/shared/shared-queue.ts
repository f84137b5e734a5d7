/**
 * This node's part of the queue of a shared subscription: what it has to deliver to its members.
 *
 * In: messages that were just appended for this node, by its own publishers or over the bus; what a member
 * could not finish; anything else by reading the queue. Out: each to one member that takes it now. What was
 * appended and comes while nothing else is to be read is sent from memory; everything else is read when a
 * member has room. Bounds: WAITING_MESSAGES_MAX and WAITING_BYTES_MAX in memory beside the windows of the
 * members; beyond them messages stay in the store and are read later.
 */
import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { queuedBytes, type SharedQueues } from '@breakwater/store'

const WAITING_MESSAGES_MAX = 256
const WAITING_BYTES_MAX = 1_048_576
const READ_MESSAGES_MAX = 128
const READ_BYTES_MAX = 524_288
const RETRY_MS = 1_000

export interface SharedEntry {
  /** 0: in no queue, see `offer`. */
  readonly position: number
  readonly message: Message
  readonly hash: number
}

/** A member of the group that takes an entry of the queue. */
interface EntryTaker {
  readonly outbound: { send(queue: SharedQueue, entry: SharedEntry, qos: QoS): void }
  readonly qos: QoS
}

export interface SharedQueueOptions {
  readonly filter: string
  readonly nodeId: string
  readonly queues: SharedQueues
  /** A member that takes a message of this QoS now. */
  readonly pick: (hash: number, qos: QoS) => EntryTaker | undefined
  /** Whether any member takes QoS 1 and 2 now. */
  readonly ready: () => boolean
  readonly onFault: (error: Error) => void
}

export class SharedQueue {
  readonly #options: SharedQueueOptions
  /** What is known of the queue: it waits, or a member has it, or its end is not stored yet. */
  readonly #known = new Set<number>()
  /** Finished while a read was under way, which may still bring them. */
  #finished: number[] = []
  #waiting: SharedEntry[] = []
  #waitingBytes = 0
  /** Everything below that names this node has been taken, see `SharedRead`. */
  #readFrom = 0
  /** Whether the queue may hold more for this node than is known. */
  #behind = true
  /** Whether it may hold what nobody delivers. */
  #claimable = true
  /** Before, what is appended for this node may be claimed by another, and by this one once more. */
  #joined = false
  #reading = false
  /** Whether anything was sent since `handOn` was asked last. */
  #moving = false
  #closed = false

  constructor(options: SharedQueueOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * A message that was appended for this node. At an unknown position (-1) it is read from the queue; at
   * position 0 Redis has lost the queue, and it is delivered all the same.
   */
  offer(position: number, message: Message, hash: number): void {
    if (position === -1) {
      this.look()
      return
    }
    const full =
      this.#waiting.length >= WAITING_MESSAGES_MAX || this.#waitingBytes >= WAITING_BYTES_MAX
    // A read under way may bring it too: then it comes from there alone.
    if (position > 0 && (this.#behind || this.#reading || full)) this.#behind = true
    else if (position === 0 || (position >= this.#readFrom && !this.#known.has(position)))
      this.#wait({ position, message, hash })
    this.pump()
  }

  /** This node is a member of the queue. */
  joined(): void {
    this.#joined = true
    this.look()
  }

  /** Something that nobody delivers may be there to take. */
  look(): void {
    this.#claimable = true
    this.#behind = true
    this.pump()
  }

  /** Others may have taken what waits here: only the queue says what is left. */
  reset(): void {
    this.#forgetWaiting()
    this.#readFrom = 0
    this.look()
  }

  /** A member has finished with it. */
  finished({ position, message }: SharedEntry): void {
    if (position === 0) return
    const { queues, filter, onFault } = this.#options
    queues.settle(filter, position, queuedBytes(message), (error) => {
      if (error !== undefined) onFault(error)
      if (this.#reading) this.#finished.push(position)
      else this.#known.delete(position)
    })
  }

  /** A member has not finished with these, and will not. */
  returned(entries: readonly SharedEntry[]): void {
    if (this.#closed) return
    this.#waiting.unshift(...entries)
    for (const { message } of entries) this.#waitingBytes += message.bytes
    this.pump()
  }

  /** Gives to the members what they take now. */
  pump(): void {
    const { pick, ready } = this.#options
    for (;;) {
      const entry = this.#waiting[0]
      if (entry === undefined) break
      const member = pick(entry.hash, entry.message.qos)
      if (member === undefined) return
      this.#waiting.shift()
      this.#waitingBytes -= entry.message.bytes
      const qos = Math.min(entry.message.qos, member.qos) as QoS
      this.#moving = true
      member.outbound.send(this, entry, qos)
    }
    if (!this.#behind || !this.#joined || this.#reading || this.#closed) return
    if (ready()) this.#startReading()
  }

  /**
   * No member here takes anything, and none has since it was asked before: what waits is anybody's. Returns
   * whether there was something.
   */
  async handOn(): Promise<boolean> {
    const moving = this.#moving
    this.#moving = false
    if (moving || !this.#joined || this.#reading || this.#closed) return false
    const { queues, filter, nodeId } = this.#options
    let positions = this.#waiting.map(({ position }) => position).filter((at) => at > 0)
    if (positions.length === 0 && this.#behind) {
      this.#reading = true
      try {
        const read = await queues.read(
          filter,
          nodeId,
          this.#readFrom,
          READ_MESSAGES_MAX,
          READ_BYTES_MAX,
        )
        this.#readFrom = read.next
        positions = read.found.map(({ position }) => position).filter((at) => !this.#known.has(at))
      } finally {
        this.#endReading()
      }
    }
    this.#forgetWaiting()
    if (positions.length === 0) return false
    // Whoever has room first takes them.
    this.#claimable = true
    this.#behind = true
    return await new Promise((resolve, reject) => {
      queues.handOn(filter, positions, (error) => {
        if (error === undefined) resolve(true)
        else reject(error)
      })
    })
  }

  close(): void {
    this.#closed = true
    this.#forgetWaiting()
  }

  #wait(entry: SharedEntry): void {
    if (entry.position > 0) this.#known.add(entry.position)
    this.#waiting.push(entry)
    this.#waitingBytes += entry.message.bytes
  }

  #forgetWaiting(): void {
    for (const { position } of this.#waiting) this.#known.delete(position)
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #startReading(): void {
    this.#reading = true
    this.#read()
      .catch((error: Error) => {
        this.#behind = true
        this.#options.onFault(error)
        setTimeout(() => this.pump(), RETRY_MS).unref()
        return false
      })
      .then((again) => {
        this.#endReading()
        if (again) this.pump()
      })
      .catch(this.#options.onFault)
  }

  #endReading(): void {
    this.#reading = false
    for (const position of this.#finished) this.#known.delete(position)
    this.#finished = []
  }

  /** Returns whether it is worth another look at once. */
  async #read(): Promise<boolean> {
    const { queues, filter, nodeId, ready } = this.#options
    while (!this.#closed && this.#behind && this.#waiting.length === 0 && ready()) {
      await this.#claim()
      // What is appended from here on is seen by this read, or sets the mark again.
      this.#behind = false
      const { found, next, more } = await queues.read(
        filter,
        nodeId,
        this.#readFrom,
        READ_MESSAGES_MAX,
        READ_BYTES_MAX,
      )
      if (this.#closed) return false
      this.#readFrom = next
      if (more) this.#behind = true
      for (const entry of found) if (!this.#known.has(entry.position)) this.#wait(entry)
      this.pump()
    }
    return this.#behind
  }

  async #claim(): Promise<void> {
    const { queues, filter, nodeId } = this.#options
    if (!this.#claimable) return
    this.#claimable = false
    let from = 0
    do {
      try {
        from = await queues.claim(filter, nodeId, from)
      } catch (error) {
        this.#claimable = true
        throw error
      }
    } while (from > 0 && !this.#closed)
  }
}
