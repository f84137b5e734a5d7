/**
 * Queues of shared subscriptions: one per group and filter, with many consumers.
 *
 * A queue exists from its first member (a node with connected members, or a stored session) until its last;
 * then nothing is left of it. Each entry names the node that has to deliver it. What names none, or one that is
 * no member any more, may be claimed by any node that is: it moves to the end, under a new position.
 */
import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'

export interface SharedAppend {
  /** The whole filter, `$share/…`: the name of the queue. */
  readonly filter: string
  /** Which is to deliver it; '' where nobody is connected. */
  readonly node: string
  /** What a member is chosen by, from 0 to 2 ** 32 - 1. */
  readonly hash: number
  readonly qos: QoS
}

export interface SharedQueued {
  readonly position: number
  readonly message: Message
  readonly hash: number
}

export interface SharedRead {
  readonly found: readonly SharedQueued[]
  /** Everything below this position that names the reader has been returned, now or by an earlier read. */
  readonly next: number
  /** Whether there may be more from `next` on. */
  readonly more: boolean
}

/** A node that has connected members, or a stored session. */
export type SharedMemberId = `n${string}` | `c${string}`

export type SharedDone = (error?: Error) => void

export interface SharedQueues {
  /**
   * Whether a user may have a member in this group (`sharedGroupsPerUserMax`). If it does not exist, the next `join`
   * makes it with the user's part of `queueBytesPerUserMax`.
   */
  enter(filter: string, account: string): Promise<boolean>
  /** The user has one member less: a group that is gone counts no more. Says nothing where that cannot be known. */
  left(filter: string, account: string): Promise<void>
  /** Makes the queue if there is none. In order with `leave` and the appends of this store. */
  join(filter: string, member: SharedMemberId, done: SharedDone): void
  /** Ends the queue with its last member. */
  leave(filter: string, member: SharedMemberId, done: SharedDone): void
  /** Moves some of what nobody delivers, from a position on, to this node; returns where to go on, 0 at the end. */
  claim(filter: string, node: string, fromPosition: number): Promise<number>
  /** What this node has to deliver, oldest first, at most so many messages and about so many bytes. */
  read(
    filter: string,
    node: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<SharedRead>
  /** A member has finished with it: it leaves the queue. `bytes`: `queuedBytes` of it. */
  settle(filter: string, position: number, bytes: number, done: SharedDone): void
  /** Resolves when everything that was settled before is stored. */
  settled(): Promise<void>
  /** Some that this node has not sent to a member may be claimed by other nodes. */
  handOn(filter: string, positions: readonly number[], done: SharedDone): void
}
