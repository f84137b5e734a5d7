/**
 * Route: who gets a message, on this node, in the queues of the cluster, and at other nodes.
 *
 * In: messages of publishers, of other nodes, and of the node itself (wills). Out: copies to the outbound of
 * each matching session. Bounds: those of the forwarding tables; a fan-out only fills write queues, which
 * are written to their sockets in portions.
 */
import type { Bus, Message, QoS } from '@breakwater/bus'
import type { SharedStrategy } from '@breakwater/config'
import type { Cluster } from '@breakwater/cluster'
import {
  QUEUE_FULL,
  QueueFullError,
  type Appended,
  type InboundPublish,
  type QueueAppend,
  type Store,
} from '@breakwater/store'
import { FanOut } from '../deliver/fan-out.ts'
import type { Events } from '../events.ts'
import type { Session } from '../session/session.ts'
import { ForwardingTable } from './forwarding-table.ts'
import { RetainedTopics } from './retained-topics.ts'
import { RouteTable } from './route-table.ts'
import { SharedSubscriptions, type Assignment } from './shared-subscriptions.ts'
import { StoredSessions } from './stored-sessions.ts'

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

export class Router {
  readonly live: ForwardingTable<Session>
  readonly stored: StoredSessions
  readonly shared: SharedSubscriptions
  /** Filters of the other nodes' clients. */
  readonly routes: RouteTable
  readonly retained: RetainedTopics
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
      events,
      strategy: sharedStrategy,
      shapesMax: shapesPerNodeMax,
      inflightMessagesMax,
    })
    this.stored = new StoredSessions(shapesPerNodeMax, this.shared.table)
    this.routes = new RouteTable({ shapesMax: shapesPerNodeMax })
    this.retained = new RetainedTopics(store)
  }

  /** Whether a message has effects beyond this node's memory before it may be acknowledged. */
  leavesNode(message: Message): boolean {
    return (
      message.retain ||
      this.routes.match(message.topic).length > 0 ||
      this.shared.leavesNode(message) ||
      (message.qos > 0 &&
        (!this.#cluster.confirmed || this.stored.match(message.topic).targets.length > 0))
    )
  }

  /**
   * Everything outside of this node: retained, queues, other nodes. Then `done`, which delivers locally with
   * `deliver`. After an error nothing may be acknowledged. `publisher`: its client id. `inbound`: the stored
   * QoS 2 publish that it is.
   */
  store(message: Message, publisher: string, done: StoreDone, inbound?: InboundPublish): void {
    // Nothing is acknowledged by somebody who may not know all subscribers.
    if (message.qos === 0 || this.#cluster.confirmed)
      this.#append(message, publisher, done, inbound)
    else
      this.#cluster.whenConfirmed((error) => {
        if (error === undefined) this.#append(message, publisher, done, inbound)
        else done(error, NO_EFFECTS)
      })
  }

  #append(
    message: Message,
    publisher: string,
    done: StoreDone,
    inbound: InboundPublish | undefined,
  ): void {
    const queues = this.#queuesOf(message)
    const assignments = this.shared.assign(message, publisher)
    const shared = assignments.filter(({ stored }) => stored)
    if (queues.length + shared.length === 0 && !message.retain && inbound === undefined) {
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
    }
    this.#store.append(publish, (error, appended) => {
      if (appended.dropped > 0) this.#events.dropped('queue-full', message.qos, appended.dropped)
      if (error !== undefined) {
        this.shared.doubt(shared)
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
      this.#forward(message, placed, settle)
      if (isNews)
        this.#cluster.announceTopics([message.topic], (failure) => {
          this.retained.told(message.topic, failure)
          settle(failure)
        })
    })
  }

  /** To the sessions of this node: live copies, and word of what was put into their queues. */
  deliver(message: Message, effects: Effects): void {
    if (effects.appended.again === true) return
    const fanOut = new FanOut(message)
    this.#deliverLive(fanOut)
    for (const [index, { clientId, qos }] of effects.queues.entries()) {
      const position = effects.appended.positions[index] ?? 0
      if (position === 0) this.#events.dropped('session-gone', qos)
      else if (position !== QUEUE_FULL)
        this.sessions.get(clientId)?.outbound.queued(position, fanOut, qos)
    }
  }

  /** A message that needs nothing but memory: no queue, no retained, no other node. */
  deliverHere(message: Message, publisher: string): void {
    this.#deliverLive(new FanOut(message))
    this.shared.deliver(message, this.shared.assign(message, publisher))
  }

  /** A message of another node, which has put it into every queue already. */
  deliverFromBus(message: Message): void {
    this.#events.busIn.value += 1
    const fanOut = new FanOut(message)
    const { targets, qos } = this.live.match(message.topic)
    for (let index = 0; index < targets.length; index += 1) {
      const session = targets[index] as Session
      const granted = lower(message.qos, qos[index] as QoS)
      if (message.retain) session.markLive(message.topic)
      if (granted > 0 && session.persistent) session.outbound.queued(0, fanOut, granted)
      else session.outbound.deliver(fanOut, granted)
    }
  }

  /** A message of the node itself, such as a will. */
  publish(message: Message, publisher: string, done: (error?: Error) => void): void {
    this.store(message, publisher, (error, effects) => {
      if (error === undefined) this.deliver(message, effects)
      // There is no publisher that would send it again.
      else if (error instanceof QueueFullError) this.#events.dropped('queue-full', message.qos)
      done(error)
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
    const { targets, qos } = this.stored.match(message.topic)
    if (targets.length === 0) return NO_QUEUES
    return targets.map(({ clientId }, index) => ({
      clientId,
      qos: lower(message.qos, qos[index] as QoS),
    }))
  }

  /**
   * What is acknowledged waits for the bus. QoS 0 does not, unless more waits already than leaves in a turn:
   * then its publisher is not read faster than the bus takes it. Lost on the way, it is counted.
   */
  #forward(
    message: Message,
    assignments: readonly Assignment[],
    done: (error?: Error) => void,
  ): void {
    const targets = this.routes.match(message.topic)
    const remote = this.shared.remote(assignments)
    let open = (targets.length > 0 ? 1 : 0) + remote.length
    if (open === 0) {
      done()
      return
    }
    this.#events.busOut.value += targets.length + remote.length
    const waits = message.qos > 0 || this.#bus.congested
    let failure: Error | undefined
    const answered = (error?: Error): void => {
      if (message.qos > 0) failure ??= error
      else if (error !== undefined) this.#events.dropped('bus-unavailable', 0)
      open -= 1
      if (open === 0 && waits) done(failure)
    }
    if (targets.length > 0) this.#bus.publish(message, targets, answered)
    for (const assignment of remote) this.shared.send(message, assignment, answered)
    if (!waits) done()
  }
}

type StoreDone = (error: Error | undefined, effects: Effects) => void

export interface Effects {
  readonly queues: readonly QueueAppend[]
  readonly appended: Appended
}

const NOTHING: Appended = { positions: [], dropped: 0, retainedChanged: false }
const NO_EFFECTS: Effects = { queues: [], appended: NOTHING }

function lower(a: QoS, b: QoS): QoS {
  return a < b ? a : b
}
