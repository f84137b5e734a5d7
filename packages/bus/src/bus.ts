import type { Message } from './message.ts'
import type { SharedMessage } from './shared-message.ts'

/**
 * What one node tells another beside messages. Each notice is idempotent and says nothing that is not also in
 * the store, so a lost one costs time, or is repaired by reading the store again (`onResync`).
 *
 * | kind | meaning |
 * |---|---|
 * | `taken-over` | the sender has claimed the client id with this epoch: whoever has a lower one lets go of it |
 * | `let-go` | the answer: the sender has nothing with a lower epoch than this one any more |
 * | `kicked` | an operator wants the client closed, unless it has a higher epoch by now |
 * | `revocation` | the list of revocations has changed by this step, which led from one version to the next |
 */
export type Notice = OwnerNotice | RevocationNotice

export interface OwnerNotice {
  readonly kind: 'taken-over' | 'let-go' | 'kicked'
  readonly clientId: string
  readonly epoch: number
}

export interface RevocationNotice {
  readonly kind: 'revocation'
  readonly previous: number
  readonly version: number
  readonly id: string
  /** What the entry is now; absent: it is gone. */
  readonly text?: string
}

/** The sender knows the cluster's log up to this version. */
export interface Confirmed {
  readonly kind: 'confirmed'
  readonly version: number
}

/** What waits in the inbox of a node; both 0 when it has read everything. */
export interface InboxLag {
  readonly bytes: number
  /** Age of the oldest entry that waits, by the clock of the bus and not of a node. */
  readonly seconds: number
}

/** The queue of this shared subscription holds something that a node with members may take. */
export interface Assigned {
  readonly kind: 'assigned'
  /** The whole filter, `$share/…`. */
  readonly filter: string
}

/** Small things that one node says to another, in order with the messages to it. */
export type NodeSignal = Confirmed | Assigned

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
  /** As `publish`, to the one node whose members of a shared subscription are to get it. */
  publishShared(shared: SharedMessage, target: string, done: Done): void
  /**
   * As `publish`, for QoS 0: nobody is called back, but `lost` when it went wrong. The message is not kept. Who
   * posts is to stop when the bus is congested, until `whenClear`. Cheapest where `targets` and `lost` are the
   * same arrays and functions as before.
   */
  post(message: Message, targets: readonly string[], lost: Lost): void
  /** Calls back once, when the bus is not congested; at once if it is not. */
  whenClear(callback: () => void): void
  /** Fire and forget. Of one kind (and filter) to one target, the newest of a turn is all that travels. */
  tell(target: string, signal: NodeSignal): void
  /**
   * Tells one node. Resolves when the bus has taken it: true if that node listens, false if nobody does, as
   * when its process is gone. Rejects as `publish` fails.
   */
  notify(target: string, notice: Notice): Promise<boolean>
  /**
   * How far this node is behind in reading its inbox, as of the call; undefined while the inbox is being made
   * anew. Rejects when the bus does not answer.
   */
  lag(): Promise<InboxLag | undefined>
  onMessage(handler: (message: Message) => void): void
  onShared(handler: (shared: SharedMessage) => void): void
  onSignal(handler: (from: string, signal: NodeSignal) => void): void
  onNotice(handler: (from: string, notice: Notice) => void): void
  /** Messages to this node were lost for good: its inbox was full, or gone, or Redis lost a part of it. */
  onGap(handler: (why: string) => void): void
  /** After a time in which notices may have been missed. */
  onResync(handler: () => void): void
}
