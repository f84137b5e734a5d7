/**
 * Shared subscriptions: each message to one member of each group that it matches, in the whole cluster.
 *
 * The publisher's node chooses a node, that node chooses a member. QoS 0 goes there over the bus. QoS 1 and 2 is
 * stored in the group's queue first, under the name of the node that has to deliver it; what names a node that
 * has no members any more, or is dead, is claimed by one that has (deliver/shared-queue.ts).
 *
 * In: members of this node, those of others, stored sessions; messages with their publisher. Out: assignments
 * for the store and the bus, messages to the queues of the groups. Bound: the filters of clients and nodes.
 */
import { SharedMessage, type Bus, type Message } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { SharedStrategy } from '@breakwater/config'
import type { SharedAppend, Store } from '@breakwater/store'
import { SharedOutbound } from './shared-outbound.ts'
import { SharedQueue } from './shared-queue.ts'
import type { Events } from '../observe/events.ts'
import type { Session } from '../session/session.ts'
import { chooseNode, firstFrom, hashOf, startOf } from './shared-choice.ts'
import { SharedMembership } from './shared-membership.ts'
import { SharedTable, type SharedGroup, type SharedMember } from './shared-table.ts'

/** One group that a message goes to. */
export interface Assignment extends SharedAppend {
  readonly group: SharedGroup
  /** Whether it is in the group's queue, or is to be. */
  readonly stored: boolean
  /** There; 0 if it is not, -1 if nobody knows where. */
  position: number
}

export interface SharedSubscriptionsOptions {
  readonly store: Store
  readonly bus: Bus
  readonly cluster: Cluster
  readonly events: Events
  readonly strategy: SharedStrategy
  readonly shapesMax: number
  readonly inflightMessagesMax: number
}

const NOBODY: readonly Assignment[] = []

export class SharedSubscriptions implements Disposable {
  readonly table: SharedTable
  readonly membership: SharedMembership
  readonly #store: Store
  readonly #bus: Bus
  readonly #events: Events
  readonly #strategy: SharedStrategy
  readonly #inflightMessagesMax: number

  constructor(options: SharedSubscriptionsOptions) {
    const { store, bus, cluster, events, strategy, shapesMax, inflightMessagesMax } = options
    this.table = new SharedTable(shapesMax)
    this.#inflightMessagesMax = inflightMessagesMax
    this.#store = store
    this.#bus = bus
    this.#events = events
    this.#strategy = strategy
    this.membership = new SharedMembership({
      table: this.table,
      queues: store.shared,
      bus,
      cluster,
      events,
      queueOf: (group) => this.#queueOf(group),
    })
  }

  [Symbol.dispose](): void {
    this.membership[Symbol.dispose]()
  }

  /** A session of this node has, or had, shared messages; `released`: packet ids that it owes PUBCOMP for. */
  serve(session: Session, released: readonly number[]): SharedOutbound {
    const { clientId, epoch, persistent, resumed, sink, connection } = session
    session.shared ??= new SharedOutbound({
      owner: { clientId, epoch },
      persistent,
      resumed,
      released,
      inflightMessagesMax: this.#inflightMessagesMax,
      store: this.#store,
      sink,
      onFault: (error) => {
        this.#events.storeFailed(`shared messages of ${clientId}`, error)
        connection.close('store-unavailable', error.message)
      },
    })
    return session.shared
  }

  /** A session of this node is a member; resolves when the store knows. */
  async add(session: Session, filter: string, qos: 0 | 1 | 2): Promise<void> {
    const { clientId, persistent } = session
    const outbound = this.serve(session, [])
    await this.membership.add(filter, qos, { clientId, persistent, outbound })
  }

  /** Returns whether it was the last member of this node. */
  remove({ shared }: Session, filter: string): boolean {
    return shared !== undefined && this.membership.remove(filter, shared)
  }

  /** Whether a message has effects beyond this node's memory. */
  leavesNode(message: Message): boolean {
    if (this.table.size === 0) return false
    return this.table
      .match(message.topic)
      .some((group) => group.nodes.length > 0 || (message.qos > 0 && isStored(group)))
  }

  assign(message: Message, publisher: string): readonly Assignment[] {
    if (this.table.size === 0) return NOBODY
    const groups = this.table.match(message.topic)
    if (groups.length === 0) return NOBODY
    const hash = hashOf(this.#strategy, message.topic, publisher)
    return groups.map((group) => {
      group.nodeTurn += 1
      const node = chooseNode(this.#strategy, startOf(this.#strategy, hash, group.nodeTurn), {
        self: this.#bus.nodeId,
        nodes: group.nodes,
        hasLocal: group.members.length > 0,
        localReady: group.members.some(({ outbound }) => outbound.takes(message.qos)),
      })
      const stored = message.qos > 0 && isStored(group)
      return { group, filter: group.filter, node, hash, qos: message.qos, stored, position: 0 }
    })
  }

  /** Those that another node has to deliver. */
  remote(assignments: readonly Assignment[]): readonly Assignment[] {
    if (assignments.length === 0) return assignments
    return assignments.filter(({ node }) => node !== '' && node !== this.#bus.nodeId)
  }

  send(
    message: Message,
    { filter, node, hash, position }: Assignment,
    done: (error?: Error) => void,
  ): void {
    if (position === -1) {
      this.#bus.tell(node, { kind: 'assigned', filter })
      done()
      return
    }
    const shared = new SharedMessage({ message, filter, position, hash, passedOn: false })
    this.#bus.publishShared(shared, node, done)
  }

  /** Those that this node has to deliver. */
  deliver(message: Message, assignments: readonly Assignment[]): void {
    for (const { group, node, hash, stored, position } of assignments) {
      if (node !== this.#bus.nodeId) {
        if (node === '' && stored && position === 0)
          this.#events.dropped('session-gone', message.qos)
      } else if (stored) this.#offer(group, position, message, hash)
      else this.#deliverOnce(group, message, hash)
    }
  }

  /** Perhaps stored, perhaps not: who is to deliver it looks. */
  lookAgain(assignments: readonly Assignment[]): void {
    for (const { group, node, filter } of assignments)
      if (node === this.#bus.nodeId) group.queue?.look()
      else if (node !== '') this.#bus.tell(node, { kind: 'assigned', filter })
  }

  /** Another node has chosen this one. */
  deliverFromBus({ message, filter, position, hash, passedOn }: SharedMessage): void {
    this.#events.busIn.add(1)
    const group = this.table.get(filter)
    if (message.qos > 0) {
      const kept = message.detached()
      if (group !== undefined && group.members.length > 0) this.#offer(group, position, kept, hash)
      // It is in the queue all the same, where those can take it who have members.
      else if (group !== undefined && position !== 0) this.membership.tellOthers(group)
      else if (position === 0) this.#events.dropped('session-gone', message.qos)
      return
    }
    const other =
      passedOn || group === undefined ? undefined : group.nodes[hash % group.nodes.length]
    const member = group === undefined ? undefined : this.#pick(group, hash, 0)
    if (member !== undefined) member.outbound.sendOnce(message)
    else if (other !== undefined) {
      const next = new SharedMessage({ message, filter, position, hash, passedOn: true })
      this.#bus.publishShared(next, other, (error) => {
        if (error !== undefined) this.#events.dropped('bus-unavailable', 0)
      })
    } else this.#dropOnce(group)
  }

  #offer(group: SharedGroup, position: number, message: Message, hash: number): void {
    const { queue } = group
    if (queue === undefined) {
      this.membership.tellOthers(group)
      return
    }
    queue.offer(position, message, hash)
    // Redis has lost the queue.
    if (position === 0) this.membership.rejoin(group, () => queue.look())
  }

  #deliverOnce(group: SharedGroup, message: Message, hash: number): void {
    const member = this.#pick(group, hash, 0)
    if (member === undefined) this.#dropOnce(group)
    else member.outbound.sendOnce(message)
  }

  #dropOnce(group: SharedGroup | undefined): void {
    const stalled = group !== undefined && group.members.length > 0
    this.#events.dropped(stalled ? 'slow-consumer' : 'session-gone', 0)
  }

  #pick(group: SharedGroup, hash: number, qos: 0 | 1 | 2): SharedMember | undefined {
    group.memberTurn += 1
    // Other bits than those that the node was chosen by.
    const start = startOf(this.#strategy, hash >>> 16, group.memberTurn)
    return firstFrom(group.members, start, (member) =>
      member.outbound.takes(Math.min(qos, member.qos) as 0 | 1 | 2),
    )
  }

  #queueOf(group: SharedGroup): SharedQueue {
    return new SharedQueue({
      filter: group.filter,
      nodeId: this.#bus.nodeId,
      queues: this.#store.shared,
      pick: (hash, qos) => this.#pick(group, hash, qos),
      ready: () => group.members.some(({ outbound, qos }) => outbound.takes(qos)),
      onFault: (error) => this.#events.storeFailed(`queue of ${group.filter}`, error),
    })
  }
}

/** A group whose only members have QoS 0 and are here needs no queue. */
function isStored({ nodes, stored, members }: SharedGroup): boolean {
  return nodes.length > 0 || stored.size > 0 || members.some(({ qos }) => qos > 0)
}
