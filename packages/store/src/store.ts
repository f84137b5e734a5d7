/**
 * What outlives a node: who has which client id, and its will; sessions with their filters and queues; retained
 * messages.
 *
 * A *position* numbers the messages of one session's queue from 1 without gaps; it is given by the store
 * and never used again while the session lives. Packet ids follow from it, so a message keeps its id
 * when the session resumes at another node.
 */
import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import type { RevocationStore } from './revocations.ts'
import type { ShareBounds } from './share-bounds.ts'
import type { SharedAppend, SharedQueues } from './shared-queues.ts'

const ENVELOPE_BYTES = 8

export interface StoredSubscription {
  readonly filter: string
  readonly qos: QoS
}

/** Of one session, filters that have come or gone. */
export interface ChangedFilters {
  readonly clientId: string
  readonly filters: readonly string[]
}

export interface SessionFilters {
  readonly clientId: string
  readonly subscriptions: readonly StoredSubscription[]
}

/**
 * Who holds a client id, since which claim. What an owner writes is refused once the session was opened by a
 * later one (`FencedError` where somebody waits for it).
 */
export interface Owner {
  readonly clientId: string
  /** Higher than that of every earlier owner of this client id. */
  readonly epoch: number
}

/** What a client asks for when it connects. */
export interface ClientClaim {
  readonly clientId: string
  /** The node that it is connected to. */
  readonly nodeId: string
  readonly user: string
  readonly persistent: boolean
  /** Whom a session that is made counts for (`sessionsPerUserMax`); undefined: nobody. */
  readonly account?: string | undefined
  /** Takes the place of one that the client left behind; without one that is cancelled. */
  readonly will?: Message
}

export interface Claimant {
  /** Asked where the claim has waited for the store: when nobody waits for it any more it fails unmade. */
  readonly isWanted: () => boolean
  /** A claim that had failed has been made: the former owner is still to let go. */
  readonly onLate: (claimed: Claimed) => void
}

/** A client that is connected, as it was claimed. */
export interface HeldClient extends Omit<ClientClaim, 'persistent' | 'account'> {
  readonly epoch: number
}

export interface Claimed {
  readonly epoch: number
  /**
   * Who had the client id until now and may still have to drain: the session is as it was, and is the former
   * owner's until `openSession`.
   */
  readonly former?: FormerOwner
  /** Nobody had the client id: the session is open. */
  readonly opened?: OpenedSession
}

export interface FormerOwner {
  readonly nodeId: string
  readonly epoch: number
}

export type SessionTerms = Pick<ClientClaim, 'persistent' | 'user' | 'account'>

/**
 * Why a client does not get a client id: it, or its session, is another user's; or its user has as many sessions
 * as `sessionsPerUserMax`.
 */
export type ClaimRefusal = 'another-user' | 'sessions-full'

/** A client that its node has left behind, and what it wanted to be said then. */
export interface AdoptedClient {
  readonly owner: Owner
  readonly will: Message
}

/** The session has another owner: nothing was written. */
export class FencedError extends Error {
  override readonly name = 'FencedError'

  constructor(clientId: string) {
    super(`the session of ${clientId} has another owner`)
  }
}

export interface HeldSession extends Owner {
  /** The last one that was sent. */
  readonly position: number
}

export interface OpenedSession {
  /** Whether a stored session was resumed. */
  readonly present: boolean
  /** That of the owner. */
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
  /** Whom it counts for where it is retained; undefined: nobody. */
  readonly account?: string | undefined
  /** Queues of shared subscriptions that get the message. */
  readonly shared?: readonly SharedAppend[]
  /**
   * For a new subscription: what is retained for this topic now is queued, with its flag; nothing else
   * changes. It may be newer than `message`, which would come behind the newer one; or nothing any more.
   */
  readonly replay?: boolean
  /**
   * The QoS 2 publish that this is: it is forgotten in the same step, so that it takes effect once also where a
   * node dies before PUBCOMP, or a former owner's release comes late. Where it is gone, nothing happens.
   */
  readonly inbound?: InboundPublish
}

export interface InboundPublish {
  readonly clientId: string
  readonly packetId: number
}

/** A publish that `close-publisher` refuses: one of its queues was full, and nothing of it was queued. */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError'

  constructor() {
    super('a queue is full')
  }
}

/** In the place of a position: the queue was full, and did without the message. */
export const QUEUE_FULL = -3

/**
 * One position per entry of `queues`; 0 where nothing was queued: the session, or what was to be replayed, no
 * longer exists; `QUEUE_FULL`; -1 where it was, at a position that is not known. `dropped` counts messages
 * that made room or found none. `retainedChanged`: the topic has a retained message now and had none before,
 * or has none any more; also where that is not known.
 */
export interface Appended {
  readonly positions: readonly number[]
  /** Of the owner of each queue's session at that moment; where it is known, and the queues are few. */
  readonly epochs?: readonly number[]
  /** The same as `positions` for the entries of `shared`, where there were any. */
  readonly shared?: readonly number[]
  readonly dropped: number
  readonly retainedChanged: boolean
  /** The QoS 2 publish had taken effect before: nothing was changed. */
  readonly again?: true
}

export interface RetainedRead {
  /** Of the topics that still have one, in no particular order. */
  readonly messages: readonly Message[]
  /** Topics that were not looked at: there was no more room. */
  readonly rest: readonly string[]
}

export type AppendDone = (error: Error | undefined, appended: Appended) => void

export interface QueueBounds {
  readonly queueMessagesMax: number
  readonly queueBytesMax: number
  /** `drop-oldest` unless said otherwise. */
  readonly queuePolicy?: QueuePolicy
}

export interface StoreBounds extends QueueBounds {
  /** Those that are left out do not bind. */
  readonly shares?: Partial<ShareBounds>
}

/**
 * What a full queue does: it drops its oldest messages, or does without the new one, or the whole publish is
 * refused (`QueueFullError`), which a replay of what is retained never is: it is dropped.
 */
export type QueuePolicy = 'drop-oldest' | 'drop-newest' | 'close-publisher'

/** Is told once per refused write; the owner may be one that this node has replaced itself. */
export type OnFenced = (clientId: string, epoch: number) => void

/** What is known of a stored session. */
export interface StoredFacts {
  /** Undefined: of nobody yet; it was imported. */
  readonly user: string | undefined
  /** That its client is connected to. */
  readonly nodeId: string | undefined
  /** When its client was last connected, ms since the epoch. */
  readonly seenMs: number
  readonly filters: number
  readonly queuedMessages: number
  readonly queuedBytes: number
}

export interface StoreCounts {
  readonly sessions: number
  /** Of all retained messages, with their topics. */
  readonly retainedBytes: number
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
  readonly shared: SharedQueues
  readonly revocations: RevocationStore

  /**
   * Takes a client id for a node. Where nobody has it, the session is opened as `openSession` does. A
   * stored session of another user keeps it; a client of another user that has none is the former owner, like one of
   * the same user, unless the claimant is nobody (an empty user). After an error it may be taken all the same, by an
   * owner that this node does not know: the claimant is told, if somebody has had it before.
   */
  claimClient(claim: ClientClaim, claimant?: Claimant): Promise<Claimed | ClaimRefusal>
  /**
   * `persistent` resumes or makes the session; otherwise a stored one ends and none is made. From here on
   * nothing of an earlier owner is taken. Changes nothing where the owner has been replaced itself.
   */
  openSession(
    owner: Owner,
    terms: SessionTerms,
  ): Promise<OpenedSession | 'taken-over' | ClaimRefusal>
  /**
   * The client is gone, and its will with it. A stored session goes on without a connection; its expiry starts
   * now. Silent where there is another owner.
   */
  leaveClient(owner: Owner): Promise<void>
  /** Those whose client id has a later owner now, with its epoch. */
  replacedOwners(owners: readonly Owner[]): Promise<readonly Owner[]>
  /**
   * After a time in which others may have taken this node for dead, or in which all was lost: a client id that
   * nobody has is its owner's again. Returns what `replacedOwners` does.
   */
  restoreOwners(clients: readonly HeldClient[]): Promise<readonly Owner[]>
  /**
   * The clients of a node that is gone, in chunks: those with a will are `byNodeId`'s from now on, which
   * publishes it and then leaves the client; the others are nobody's. A client comes by at one adopter. Their
   * sessions stay as they are. After an error some may be `byNodeId`'s that it never heard of: with `undefined`
   * all come by that it was given, also those that it knows.
   */
  adoptClients(
    departedNodeId: string | undefined,
    byNodeId: string,
  ): AsyncIterable<readonly AdoptedClient[]>
  /**
   * Of these connected sessions those of which the store has lost a part: the whole session, its opening by this
   * owner, or messages up to the position that was sent.
   */
  lostSessions(held: readonly HeldSession[]): Promise<readonly string[]>
  /** Undefined: there is no stored session. */
  sessionFacts(clientId: string): Promise<StoredFacts | undefined>
  /** Ends the session and leaves nothing of it behind. One whose client is connected stays. */
  endSession(clientId: string): Promise<void>
  /** Adds and replaces. A session that has ended gets none. */
  addSubscriptions(owner: Owner, subscriptions: readonly StoredSubscription[]): Promise<void>
  removeSubscriptions(owner: Owner, filters: readonly string[]): Promise<void>
  subscriptions(clientId: string): Promise<readonly StoredSubscription[]>
  /** The filters of all stored sessions that have any, in chunks; a session may come by twice. */
  allFilters(): AsyncIterable<readonly SessionFilters[]>
  /** Those of some sessions, in the order of the ids; none where there is no session. */
  filtersOf(clientIds: readonly string[]): Promise<readonly SessionFilters[]>
  /** Of these filters those that their sessions have, in the order of the sessions. */
  filtersAmong(changed: readonly ChangedFilters[]): Promise<readonly SessionFilters[]>
  /** Says of these sessions that they are connected, so that they do not expire. */
  touchSessions(clientIds: readonly string[]): Promise<void>
  /**
   * Ends the sessions that were last seen before `seenBefore` (ms since the epoch) and whose client is not
   * connected; returns their ids.
   */
  expireSessions(seenBefore: number): Promise<readonly string[]>

  /**
   * Applies everything that one PUBLISH changes: retained set (or cleared, with an empty payload) and
   * queues appended. Calls back once all of it is stored, in the order of the calls; may call back at once.
   * After an error nothing may be acknowledged; some of it may be stored all the same. After a
   * `QueueFullError` none of it is, unless there were more queues than go into one step (500): then those of
   * the steps before the one that found a queue full have it, and those behind do not. After a `RetainedFullError`
   * none of it is; on a Redis Cluster queues of other slots may have it.
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

  /** Keeps a QoS 2 publish until it is released. An `InboundFullError`: there is no more room. */
  storeInbound(owner: Owner, packetId: number, message: Message, done: (e?: Error) => void): void
  readInbound(clientId: string, packetId: number): Promise<Message | undefined>
  deleteInbound(clientId: string, packetId: number, done: (e?: Error) => void): void

  /** All topics that have a retained message, in chunks; a topic may come by twice. */
  retainedTopics(): AsyncIterable<readonly string[]>
  /** Which of these topics have a retained message, in their order. */
  retainedExist(topics: readonly string[]): Promise<readonly boolean[]>
  /** Their retained messages: about so many bytes, and at least one topic is looked at. */
  readRetained(topics: readonly string[], bytesMax: number): Promise<RetainedRead>
  counts(): Promise<StoreCounts>
}

/** What a message counts against `queueBytesMax`: its envelope. */
export function queuedBytes({ topic, payload }: Message): number {
  return ENVELOPE_BYTES + Buffer.byteLength(topic) + payload.length
}

/** Packet ids from here to 65,535 are those of shared subscriptions. */
export const SHARED_PACKET_ID_MIN = 57_344
const SHARED_PACKET_IDS = 65_536 - SHARED_PACKET_ID_MIN
/** Far from all of them, so that a free one is always near. */
export const SHARED_INFLIGHT_MAX: number = SHARED_PACKET_IDS / 2

/** Packet ids go round from 1 to 57,343 with the position [MQTT-2.3.1-1]. */
export function packetIdOf(position: number): number {
  return ((position - 1) % (SHARED_PACKET_ID_MIN - 1)) + 1
}

/** Those of shared subscriptions go round from 57,344 to 65,535 with a number of the session from 0. */
export function sharedPacketIdOf(number: number): number {
  return SHARED_PACKET_ID_MIN + (number % SHARED_PACKET_IDS)
}
