/**
 * What outlives a node: sessions with their filters and queues, and retained messages.
 *
 * A *position* numbers the messages of one session's queue from 1 without gaps; it is given by the store
 * and never used again while the session lives. Packet ids follow from it, so a message keeps its id
 * when the session resumes at another node.
 */
import type { Message, QoS } from '@breakwater/bus'

const ENVELOPE_BYTES = 8

export interface StoredSubscription {
  readonly filter: string
  readonly qos: QoS
}

export interface SessionFilters {
  readonly clientId: string
  readonly subscriptions: readonly StoredSubscription[]
}

/**
 * Who holds a client id, since which opening of its session. What an owner writes is refused once the session
 * has another one (`FencedError` where somebody waits for it).
 */
export interface Owner {
  readonly clientId: string
  readonly epoch: number
}

/** The session has another owner: nothing was written. */
export class FencedError extends Error {
  override readonly name = 'FencedError'

  constructor(clientId: string) {
    super(`the session of ${clientId} has another owner`)
  }
}

export interface OpenedSession {
  /** Whether a stored session was resumed. */
  readonly present: boolean
  /** Fencing number of this ownership: higher than every earlier one of this client id. */
  readonly epoch: number
  readonly subscriptions: readonly StoredSubscription[]
  /** Up to this position messages may have been sent before: they are delivered with DUP. */
  readonly sentPosition: number
  /** Packet ids that were released (PUBREL owed), in the order of their release [MQTT-4.6.0-4]. */
  readonly released: readonly number[]
  /** Packet ids of stored QoS 2 publishes that the client has not released yet. */
  readonly received: readonly number[]
}

export interface QueuedMessage {
  readonly position: number
  readonly message: Message
}

export interface QueueAppend {
  readonly clientId: string
  /** Granted for this session: the lower of the message's and the filter's. */
  readonly qos: QoS
}

/** What one PUBLISH changes in the store. */
export interface PublishEffects {
  readonly message: Message
  /** Sessions whose queue gets the message. */
  readonly queues: readonly QueueAppend[]
  /**
   * For a new subscription: what is retained for this topic now is queued, with its flag; nothing else
   * changes. It may be newer than `message`, which would come behind the newer one; or nothing any more.
   */
  readonly replay?: boolean
  /**
   * The QoS 2 publish that this is: it is forgotten with the last of the effects, so that it takes effect once
   * also where a node dies before PUBCOMP.
   */
  readonly inbound?: InboundPublish
}

export interface InboundPublish {
  readonly clientId: string
  readonly packetId: number
}

/**
 * One position per entry of `queues`; 0 where nothing was queued: the session, or what was to be replayed, no
 * longer exists, or the queue was full (`drop-newest`); -1 where it was, at a position that is not known.
 * `dropped` counts messages that made room or found none.
 */
export interface Appended {
  readonly positions: readonly number[]
  /** Of the owner of each queue's session at that moment; where it is known, and the queues are few. */
  readonly epochs?: readonly number[]
  readonly dropped: number
}

export type AppendDone = (error: Error | undefined, appended: Appended) => void

export interface QueueBounds {
  readonly queueMessagesMax: number
  readonly queueBytesMax: number
  /** Which message a full queue does without; the oldest unless said otherwise. */
  readonly queuePolicy?: QueuePolicy
}

export type QueuePolicy = 'drop-oldest' | 'drop-newest'

/** Is told once per refused write; the owner may be one that this node has replaced itself. */
export type OnFenced = (clientId: string, epoch: number) => void

export interface StoreCounts {
  readonly sessions: number
  readonly retained: number
}

export interface Released {
  readonly position: number
  readonly packetId: number
  /** `queuedBytes` of the message. */
  readonly bytes: number
}

export interface Store extends AsyncDisposable {
  /** False while the store cannot be reached. */
  readonly available: boolean

  /**
   * Takes a client id. `persistent` resumes or makes its session; otherwise a stored one ends and none is
   * made. An epoch is given in both cases. A stored session of another user stays as it is.
   */
  openSession(
    clientId: string,
    persistent: boolean,
    user: string,
  ): Promise<OpenedSession | 'another-user'>
  /** The session goes on without a connection; its expiry starts now. Silent where it has another owner. */
  leaveSession(owner: Owner): Promise<void>
  /** Ends the session and leaves nothing of it behind. */
  endSession(clientId: string): Promise<void>
  /** Adds and replaces. A session that has ended gets none. */
  addSubscriptions(owner: Owner, subscriptions: readonly StoredSubscription[]): Promise<void>
  removeSubscriptions(owner: Owner, filters: readonly string[]): Promise<void>
  subscriptions(clientId: string): Promise<readonly StoredSubscription[]>
  /** The filters of all stored sessions that have any, in chunks; a session may come by twice. */
  allFilters(): AsyncIterable<readonly SessionFilters[]>
  /** Those of some sessions, in the order of the ids; none where there is no session. */
  filtersOf(clientIds: readonly string[]): Promise<readonly SessionFilters[]>
  /** Says of these sessions that they are connected, so that they do not expire. */
  touchSessions(clientIds: readonly string[]): Promise<void>
  /** Ends the sessions that were last seen before `seenBefore` (ms since the epoch); returns their ids. */
  expireSessions(seenBefore: number): Promise<readonly string[]>

  /**
   * Applies everything that one PUBLISH changes: retained set (or cleared, with an empty payload) and
   * queues appended. Calls back once all of it is stored, in the order of the calls; may call back at once.
   * After an error nothing may be acknowledged; some of it may be stored all the same.
   */
  append(effects: PublishEffects, done: AppendDone): void

  /**
   * Queued messages from a position on, oldest first, at most so many messages and about so many bytes
   * (one at least). Records that they may have been sent (for DUP after a resume), unless the session has
   * another owner.
   */
  readQueue(
    owner: Owner,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<readonly QueuedMessage[]>
  /** Records that messages up to this position may have been sent (for DUP after a resume). */
  recordSent(owner: Owner, position: number): void
  /** The client has acknowledged a QoS 1 message: it leaves the queue. `bytes`: `queuedBytes` of it. */
  settle(owner: Owner, position: number, bytes: number): void
  /**
   * The client has received a QoS 2 message: it leaves the queue, its packet id stays to be completed. Calls
   * back when this and what the session has acknowledged before is stored.
   */
  release(owner: Owner, released: Released, done: (error?: Error) => void): void
  /** PUBCOMP came: the packet id is free. */
  complete(owner: Owner, packetId: number): void

  /** Keeps a QoS 2 publish until it is released. */
  storeInbound(owner: Owner, packetId: number, message: Message, done: (e?: Error) => void): void
  readInbound(clientId: string, packetId: number): Promise<Message | undefined>
  deleteInbound(clientId: string, packetId: number, done: (e?: Error) => void): void

  /** Retained messages that match a filter, in chunks. */
  retained(filter: string): AsyncIterable<readonly Message[]>
  counts(): Promise<StoreCounts>
}

/** What a message counts against `queueBytesMax`: its envelope. */
export function queuedBytes({ topic, payload }: Message): number {
  return ENVELOPE_BYTES + Buffer.byteLength(topic) + payload.length
}

/** Packet ids go round from 1 to 65,535 with the position [MQTT-2.3.1-1]. */
export function packetIdOf(position: number): number {
  return ((position - 1) % 65_535) + 1
}
