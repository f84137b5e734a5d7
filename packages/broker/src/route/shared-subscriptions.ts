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
import type { SharedStrategy } from '@breakwater/config'
import type { SharedAppend, SharedMemberId, Store } from '@breakwater/store'
import { SharedOutbound } from '../deliver/shared-outbound.ts'
import { SharedQueue } from '../deliver/shared-queue.ts'
import type { Events } from '../events.ts'
import type { Session } from '../session/session.ts'
import { chooseNode, firstFrom, hashOf, startOf } from './shared-choice.ts'
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
  readonly events: Events
  readonly strategy: SharedStrategy
  readonly shapesMax: number
  readonly inflightMessagesMax: number
}

/** So long no member of a node takes anything before its messages are anybody's. */
const STALL_MS = 1_000
const NOBODY: readonly Assignment[] = []

export class SharedSubscriptions implements Disposable {
  readonly table: SharedTable
  readonly #store: Store
  readonly #bus: Bus
  readonly #events: Events
  readonly #strategy: SharedStrategy
  readonly #inflightMessagesMax: number
  readonly #timer: NodeJS.Timeout

  constructor(options: SharedSubscriptionsOptions) {
    const { store, bus, events, strategy, shapesMax, inflightMessagesMax } = options
    this.table = new SharedTable(shapesMax)
    this.#inflightMessagesMax = inflightMessagesMax
    this.#store = store
    this.#bus = bus
    this.#events = events
    this.#strategy = strategy
    this.#timer = setInterval(() => this.#handOnStalled(), STALL_MS).unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  /** A session of this node has, or had, shared messages; `released`: packet ids that it owes PUBCOMP for. */
  serve(session: Session, released: readonly number[]): SharedOutbound {
    const { clientId, epoch, persistent, sink, connection } = session
    session.shared ??= new SharedOutbound({
      owner: { clientId, epoch },
      persistent,
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
    const group = this.table.open(filter)
    const { clientId } = session
    if (group === undefined) return
    const outbound = this.serve(session, [])
    const joins: SharedMemberId[] = []
    if (group.queue === undefined) {
      group.queue = this.#queueOf(group)
      joins.push(`n${this.#bus.nodeId}`)
    }
    this.table.setMember(group, { clientId, outbound, qos })
    outbound.queues.add(group.queue)
    if (session.persistent && qos > 0) joins.push(`c${clientId}`)
    await Promise.all(joins.map((member) => this.#join(filter, member)))
    if (session.persistent && qos === 0) await this.leaveStored(filter, clientId)
    group.queue?.look()
  }

  /** Returns whether it was the last member of this node. */
  remove(session: Session, filter: string): boolean {
    const group = this.table.get(filter)
    const { shared } = session
    if (group === undefined || shared === undefined) return false
    if (!this.table.deleteMember(group, shared)) return false
    if (group.queue !== undefined) shared.queues.delete(group.queue)
    if (group.members.length > 0) return false
    void this.#leave(group)
    return true
  }

  /** A stored session is no member any more. */
  async leaveStored(filter: string, clientId: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#store.shared.leave(filter, `c${clientId}`, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  /** The others know all members of this node: what they gave up before is seen now. */
  look(filters: readonly string[]): void {
    for (const filter of filters) this.table.get(filter)?.queue?.look()
  }

  /** Others took this node for dead, and may have taken what it had to deliver. */
  revive(): void {
    for (const { filter, queue } of this.table.all)
      if (queue !== undefined)
        this.#join(filter, `n${this.#bus.nodeId}`).then(
          () => queue.reset(),
          (error: Error) => this.#events.storeFailed(`members of ${filter}`, error),
        )
  }

  /** Messages of other nodes to this one may have been lost. */
  resync(): void {
    for (const { queue } of this.table.all) queue?.look()
  }

  /** A node has left for good: its members are gone, what it had to deliver is anybody's. */
  gone(nodeId: string): void {
    for (const group of this.table.clearNode(nodeId))
      this.#store.shared.leave(group.filter, `n${nodeId}`, (error) => {
        if (error !== undefined) this.#events.storeFailed(`members of ${group.filter}`, error)
        else this.#lookSomewhere(group)
      })
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
  doubt(assignments: readonly Assignment[]): void {
    for (const { group, node, filter } of assignments)
      if (node === this.#bus.nodeId) group.queue?.look()
      else if (node !== '') this.#bus.tell(node, { kind: 'assigned', filter })
  }

  /** Another node has chosen this one. */
  deliverFromBus({ message, filter, position, hash, passedOn }: SharedMessage): void {
    this.#events.busIn.value += 1
    const group = this.table.get(filter)
    if (message.qos > 0) {
      const kept = message.detached()
      if (group !== undefined && group.members.length > 0) this.#offer(group, position, kept, hash)
      // It is in the queue all the same, where those can take it who have members.
      else if (group !== undefined && position !== 0) this.#tellOthers(group)
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
    const { filter, queue } = group
    if (queue === undefined) {
      this.#tellOthers(group)
      return
    }
    queue.offer(position, message, hash)
    // Redis has lost the queue.
    if (position === 0)
      this.#join(filter, `n${this.#bus.nodeId}`).catch((error: Error) =>
        this.#events.storeFailed(`members of ${filter}`, error),
      )
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

  #join(filter: string, member: SharedMemberId): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.shared.join(filter, member, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  /** What members have finished is stored before others may take the rest. */
  async #leave(group: SharedGroup): Promise<void> {
    group.emptied += 1
    const { emptied, filter } = group
    await this.#store.shared.settled()
    if (group.members.length > 0 || group.emptied !== emptied) return
    group.queue?.close()
    group.queue = undefined
    this.#store.shared.leave(filter, `n${this.#bus.nodeId}`, (error) => {
      if (error !== undefined) this.#events.storeFailed(`members of ${filter}`, error)
      else this.#lookSomewhere(group)
      this.table.close(group)
    })
  }

  #lookSomewhere(group: SharedGroup): void {
    if (group.queue === undefined) this.#tellOthers(group)
    else group.queue.look()
  }

  /** All that have members: the first that asks takes it. */
  #tellOthers({ filter, nodes }: SharedGroup): void {
    for (const node of nodes) this.#bus.tell(node, { kind: 'assigned', filter })
  }

  #handOnStalled(): void {
    for (const group of this.table.all) {
      const { queue, members, nodes, filter } = group
      if (queue === undefined || nodes.length === 0 || members.length === 0) continue
      if (members.some(({ outbound, qos }) => outbound.takes(qos))) continue
      queue.handOn().then(
        (any) => {
          if (any) this.#tellOthers(group)
        },
        (error: Error) => this.#events.storeFailed(`queue of ${filter}`, error),
      )
    }
  }
}

/** A group whose only members have QoS 0 and are here needs no queue. */
function isStored({ nodes, stored, members }: SharedGroup): boolean {
  return nodes.length > 0 || stored.size > 0 || members.some(({ qos }) => qos > 0)
}
