/**
 * Route: who gets a message, on this node, in the queues of the cluster, and at other nodes.
 *
 * In: messages of publishers, of other nodes, and of the node itself. Out: copies to the outbound of each matching
 * session. `publish…` says where a message comes from and how far it goes, `deliver…` goes to sessions of this node:
 *
 * | | from | to |
 * |---|---|---|
 * | `publish` | a client | the store and other nodes, then `deliverStored` |
 * | `publishAtOnce` | a client, QoS 0, not retained | other nodes and this one, in this turn |
 * | `publishHere` | a client, what needs nothing but memory | this node |
 * | `publishOwn` | the node: wills, retained messages that an operator clears | as `publish`; what is refused is dropped |
 * | `publishServerTopic` | the node, under `$SYS` | this node, or other nodes too |
 * | `deliverStored` | what `publish` has stored | this node |
 * | `deliverFromNode` | another node | this node |
 *
 * Bounds: those of the forwarding tables; a fan-out only fills write queues, which
 * are written to their sockets in portions.
 */
import type { Bus, Message, QueuePlace } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import type { Cluster } from '@breakwater/cluster'
import type { SharedStrategy } from '@breakwater/config'
import {
  QUEUE_FULL,
  QueueFullError,
  RetainedFullError,
  type Appended,
  type InboundPublish,
  type QueueAppend,
  type Store,
} from '@breakwater/store'
import { FanOut } from '../deliver/fan-out.ts'
import type { Events } from '../observe/events.ts'
import type { Session } from '../session/session.ts'
import { ForwardingTable, RouteTable } from '@breakwater/matching'
import { RetainedTopics } from '../retained/retained-topics.ts'
import { ServerTopics } from '../retained/server-topics.ts'
import { SharedSubscriptions, type Assignment } from '../shared/shared-subscriptions.ts'
import { StoredFilters } from './stored-filters.ts'

export interface RouterOptions {
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
  readonly events: Events
  readonly shapesPerNodeMax: number
  readonly sharedStrategy: SharedStrategy
  readonly inflightMessagesMax: number
}

const NO_QUEUES: readonly QueueAppend[] = []
/** Of so many queues other nodes are told where they have a message; of more they read it. */
const PLACES_MAX = 8

export class Router {
  readonly live: ForwardingTable<Session>
  readonly stored: StoredFilters
  readonly shared: SharedSubscriptions
  /** Filters of the other nodes' clients. */
  readonly routes: RouteTable
  readonly retained: RetainedTopics
  /** What this node says under `$SYS`. */
  readonly server: ServerTopics = new ServerTopics()
  /** Connected sessions of this node by client id. */
  readonly sessions: Map<string, Session> = new Map()
  readonly #store: Store
  readonly #bus: Bus
  readonly #cluster: Cluster
  readonly #events: Events

  constructor(options: RouterOptions) {
    const { store, bus, cluster, events, shapesPerNodeMax } = options
    const { sharedStrategy, inflightMessagesMax } = options
    this.#store = store
    this.#bus = bus
    this.#cluster = cluster
    this.#events = events
    this.live = new ForwardingTable({ shapesMax: shapesPerNodeMax })
    this.shared = new SharedSubscriptions({
      store,
      bus,
      cluster,
      events,
      strategy: sharedStrategy,
      shapesMax: shapesPerNodeMax,
      inflightMessagesMax,
    })
    this.stored = new StoredFilters(shapesPerNodeMax, this.shared.table)
    this.routes = new RouteTable({ shapesMax: shapesPerNodeMax })
    this.retained = new RetainedTopics(store)
  }

  /** Whether a message has effects beyond this node's memory before it may be acknowledged. */
  leavesNode(message: Message): boolean {
    return (
      message.retain ||
      this.routes.match(message.topic).length > 0 ||
      this.shared.leavesNode(message) ||
      (message.qos > 0 && (!this.#cluster.confirmed || this.stored.wants(message.topic)))
    )
  }

  /**
   * Everything outside of this node: retained, queues, other nodes. Then `done`, which delivers locally with
   * `deliver`. After an error nothing may be acknowledged. `inbound`: the stored QoS 2 publish that it is.
   */
  publish(message: Message, publisher: Publisher, done: StoreDone, inbound?: InboundPublish): void {
    if (this.#knowsAll(message.qos)) this.#append(message, publisher, done, inbound)
    else
      this.#cluster.whenConfirmed((error) => {
        if (error === undefined) this.#append(message, publisher, done, inbound)
        else done(error, NO_EFFECTS)
      })
  }

  /**
   * Nothing is acknowledged by somebody who may not know all subscribers: who gets a message is asked before it
   * is stored, and where they are afterwards, when everything may have to be read anew.
   */
  #knowsAll(qos: QoS): boolean {
    return qos === 0 || this.#cluster.confirmed
  }

  #append(
    message: Message,
    publisher: Publisher,
    done: StoreDone,
    inbound: InboundPublish | undefined,
  ): void {
    const queues = this.#queuesOf(message)
    const assignments = this.shared.assign(message, publisher.clientId)
    const shared = assignments.filter(({ stored }) => stored)
    const isStored = queues.length + shared.length > 0 || message.retain || inbound !== undefined
    // Behind one that is being stored it takes the same way, or it would be at other nodes first.
    if (!isStored && publisher.appends === 0) {
      this.shared.deliver(message, assignments)
      this.#forward(message, assignments, (error) => done(error, NO_EFFECTS))
      return
    }
    // From here on an older retained message that is replayed would come behind this one in the queue.
    if (message.retain)
      for (const { clientId } of queues) this.sessions.get(clientId)?.markLive(message.topic)
    const publish = {
      message,
      queues,
      ...(shared.length === 0 ? {} : { shared }),
      ...(inbound === undefined ? {} : { inbound }),
      ...(message.retain ? { account: publisher.account } : {}),
    }
    publisher.appends += 1
    this.#store.append(publish, (error, appended) => {
      publisher.appends -= 1
      if (appended.dropped > 0) this.#events.dropped('queue-full', message.qos, appended.dropped)
      if (error !== undefined) {
        this.shared.lookAgain(shared)
        done(error, NO_EFFECTS)
        return
      }
      if (appended.again === true) {
        done(undefined, { queues: [], appended })
        return
      }
      for (const [index, assignment] of shared.entries())
        assignment.position = appended.shared?.[index] ?? 0
      const placed = assignments.filter(({ position }) => position !== QUEUE_FULL)
      // Not in the order of the publisher, which nobody promises here.
      this.shared.deliver(message, placed)
      const isNews = this.retained.isNews(message, appended)
      let open = isNews ? 2 : 1
      let fault: Error | undefined
      const settle = (failure?: Error): void => {
        fault ??= failure
        open -= 1
        if (open === 0) done(fault, { queues, appended })
      }
      // Copies go to other nodes in the order of the answers, whatever waits for the log.
      const copy = withPlaces(message, queues, appended)
      if (this.#knowsAll(message.qos)) this.#forward(copy, placed, settle)
      else
        this.#cluster.whenConfirmed((failure) => {
          if (failure === undefined) this.#forward(copy, placed, settle)
          else settle(failure)
        })
      if (isNews)
        this.#cluster.announceTopics([message.topic], (failure) => {
          this.retained.told(message.topic, failure)
          settle(failure)
        })
    })
  }

  /** To the sessions of this node: live copies, and word of what was put into their queues. */
  deliverStored(message: Message, effects: Effects): void {
    if (effects.appended.again === true) return
    const fanOut = new FanOut(message)
    this.#deliverLive(fanOut)
    for (const [index, { clientId, qos }] of effects.queues.entries()) {
      const position = effects.appended.positions[index] ?? 0
      if (position === 0) this.#events.dropped('session-gone', qos)
      else if (position !== QUEUE_FULL) {
        const session = this.sessions.get(clientId)
        const epoch = effects.appended.epochs?.[index]
        const sameSession = epoch === undefined || epoch === session?.epoch
        session?.outbound.queued(sameSession ? position : 0, fanOut, qos)
      }
    }
  }

  /** A message that needs nothing but memory: no queue, no retained, no other node. */
  publishHere(message: Message, publisher: string): void {
    this.#deliverLive(new FanOut(message))
    this.shared.deliver(message, this.shared.assign(message, publisher))
  }

  /** QoS 0 that is not retained: all its effects, in this turn. The message is not kept. */
  publishAtOnce(message: Message, publisher: string): void {
    const assignments = this.shared.assign(message, publisher)
    const remote = this.shared.remote(assignments)
    this.#post(message, remote.length > 0 ? message.detached() : message, remote)
    this.#deliverLive(new FanOut(message))
    this.shared.deliver(message, assignments)
  }

  /** Of the node itself, under `$SYS`: QoS 0, for subscribers of their own. No group gets it. */
  publishServerTopic(message: Message, where: 'here' | 'everywhere'): void {
    if (where === 'everywhere') this.#post(message, message, [])
    this.#deliverLive(new FanOut(message))
  }

  /** It goes to other nodes, for which more waits than leaves in a turn: not to be read until `whenClear`. */
  congests(message: Message): boolean {
    if (!this.#bus.congested) return false
    return this.routes.match(message.topic).length > 0 || this.shared.leavesNode(message)
  }

  whenClear(callback: () => void): void {
    this.#bus.whenClear(callback)
  }

  /** A message of another node, which has put it into every queue already. */
  deliverFromNode(message: Message): void {
    this.#events.busIn.add(1)
    const fanOut = new FanOut(message)
    const { targets, qos } = this.live.match(message.topic)
    for (let index = 0; index < targets.length; index += 1) {
      const session = targets[index] as Session
      const granted = lower(message.qos, qos[index] as QoS)
      if (message.retain) session.markLive(message.topic)
      if (granted > 0 && session.persistent) {
        const place = placeOf(message.places, session)
        session.outbound.queued(place?.position ?? 0, fanOut, place?.qos ?? granted)
      } else session.outbound.deliver(fanOut, granted)
    }
  }

  /**
   * A will. What a full queue refuses is dropped, and what may not be retained goes to subscribers only: there is no
   * publisher to be closed.
   */
  publishOwn(message: Message, publisher: Publisher, done: (error?: Error) => void): void {
    this.publish(message, publisher, (error, effects) => {
      if (error instanceof RetainedFullError) {
        this.#events.dropped('retained-full', message.qos)
        this.publishOwn(message.detached(message.qos, false), publisher, done)
        return
      }
      const isRefused = error instanceof QueueFullError
      if (isRefused) this.#events.dropped('queue-full', message.qos)
      else if (error === undefined) this.deliverStored(message, effects)
      done(isRefused ? undefined : error)
    })
  }

  #deliverLive(fanOut: FanOut): void {
    const { message } = fanOut
    const { targets, qos } = this.live.match(message.topic)
    for (let index = 0; index < targets.length; index += 1) {
      const session = targets[index] as Session
      const granted = lower(message.qos, qos[index] as QoS)
      if (granted > 0 && session.persistent) continue
      if (message.retain) session.markLive(message.topic)
      session.outbound.deliver(fanOut, granted)
    }
  }

  #queuesOf(message: Message): readonly QueueAppend[] {
    if (message.qos === 0) return NO_QUEUES
    return this.stored.queues(message.topic, message.qos)
  }

  /** What is acknowledged waits for the bus. */
  #forward(
    message: Message,
    assignments: readonly Assignment[],
    done: (error?: Error) => void,
  ): void {
    const remote = this.shared.remote(assignments)
    if (message.qos === 0) {
      this.#post(message, message, remote)
      done()
      return
    }
    const targets = this.routes.match(message.topic)
    let open = (targets.length > 0 ? 1 : 0) + remote.length
    if (open === 0) {
      done()
      return
    }
    this.#events.busOut.add(targets.length + remote.length)
    let failure: Error | undefined
    const answered = (error?: Error): void => {
      failure ??= error
      open -= 1
      if (open === 0) done(failure)
    }
    if (targets.length > 0) this.#bus.publish(message, targets, answered)
    for (const assignment of remote) this.shared.send(message, assignment, answered)
  }

  /** QoS 0 waits for nothing; lost on the way, it is counted. `kept`: the same in memory of its own. */
  #post(message: Message, kept: Message, remote: readonly Assignment[]): void {
    const targets = this.routes.match(message.topic)
    this.#events.busOut.add(targets.length + remote.length)
    if (targets.length > 0) this.#bus.post(message, targets, this.#lost)
    for (const assignment of remote) this.shared.send(kept, assignment, this.#lostOne)
  }

  readonly #lostOne = (error?: Error): void => {
    if (error !== undefined) this.#lost(1)
  }

  readonly #lost = (messages: number): void => {
    this.#events.dropped('bus-unavailable', 0, messages)
  }
}

/** Whose messages keep their order. */
export interface Publisher {
  readonly clientId: string
  /** Whom its retained messages count for; undefined: nobody. */
  readonly account?: string | undefined
  /** Of its messages, those that the store has not answered. */
  appends: number
}

type StoreDone = (error: Error | undefined, effects: Effects) => void

export interface Effects {
  readonly queues: readonly QueueAppend[]
  readonly appended: Appended
}

const NOTHING: Appended = { positions: [], dropped: 0, retainedChanged: false }
const NO_EFFECTS: Effects = { queues: [], appended: NOTHING }

/** What the nodes of these sessions need to send it without reading it from the queue. */
function withPlaces(
  message: Message,
  queues: readonly QueueAppend[],
  { positions, epochs }: Appended,
): Message {
  if (epochs === undefined || queues.length > PLACES_MAX) return message
  const places = queues.map(({ clientId, qos }, index) => ({
    clientId,
    qos,
    position: Math.max(0, positions[index] ?? 0),
    epoch: epochs[index] ?? 0,
  }))
  return message.with({ places })
}

/** Where this session has it, if it was queued for this very session. */
function placeOf(
  places: readonly QueuePlace[] | undefined,
  { clientId, epoch }: Session,
): QueuePlace | undefined {
  return places?.find((place) => place.clientId === clientId && place.epoch === epoch)
}

function lower(a: QoS, b: QoS): QoS {
  return a < b ? a : b
}
