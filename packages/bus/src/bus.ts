import type { Message } from './message.ts'

/**
 * What nodes tell each other beside messages. Each notice is idempotent and says nothing that is not
 * also in the store, so a lost one is repaired by reading the store again (`onResync`).
 */
export interface Notice {
  /** A client id has a new owner; an owner with a lower epoch closes its connection. */
  readonly kind: 'taken-over'
  readonly clientId: string
  readonly epoch: number
}

/** Small things that one node says to another, in order with the messages to it. */
export interface Word {
  readonly kind: 'confirmed'
  readonly version: number
}

export type Done = (error?: Error) => void
/** So many messages were posted in vain. */
export type Lost = (messages: number) => void

/**
 * The way between nodes. A node sees each message that names it once, in the order in which its publisher
 * published; what did not come is said by `onGap`.
 */
export interface Bus extends AsyncDisposable {
  /** Of this process start; never used again by another. */
  readonly nodeId: string
  /** Whether there can be other nodes at all; a bus of one node takes no messages. */
  readonly clustered: boolean
  /** More waits than one batch takes: who publishes is to wait for `done`, or will be refused in the end. */
  readonly congested: boolean
  /**
   * Appends to the inbox of each target. Messages of one event-loop turn travel together. `done` is called
   * exactly once, in the order of the calls: when every inbox has it, or with an error when that could not be
   * within the time-out, too much waits, or the bus is closed. A target that is gone or whose inbox is full
   * does not hold the publisher up: the latter is told of its gap, and `done` has no error.
   */
  publish(message: Message, targets: readonly string[], done: Done): void
  /**
   * As `publish`, for QoS 0: nobody is called back, but `lost` when it went wrong. The message is not kept. Who
   * posts is to stop when the bus is congested, until `whenClear`. Cheapest where `targets` and `lost` are the
   * same arrays and functions as before.
   */
  post(message: Message, targets: readonly string[], lost: Lost): void
  /** Calls back once, when the bus is not congested; at once if it is not. */
  whenClear(callback: () => void): void
  /** Fire and forget. Of one kind to one target, the newest of a turn is all that travels. */
  tell(target: string, word: Word): void
  /** Tells every other node. Resolves when the bus has taken it, rejects as `publish` fails. */
  notify(notice: Notice): Promise<void>
  onMessage(handler: (message: Message) => void): void
  onWord(handler: (from: string, word: Word) => void): void
  onNotice(handler: (notice: Notice) => void): void
  /** Messages to this node were lost for good: its inbox was full, or gone, or Redis lost a part of it. */
  onGap(handler: (why: string) => void): void
  /** After a time in which notices may have been missed. */
  onResync(handler: () => void): void
}
