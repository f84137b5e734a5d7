/**
 * Who is a member of which shared subscription, and what becomes of messages whose member or node is gone.
 *
 * In: members of this node that come and go, nodes that leave, Redis that was away. Out: membership in the
 * store, where the last one ends the group's queue; a look at the queue, here or at the nodes that have
 * members, whenever there may be something that nobody delivers. A leave that fails is tried again.
 */
import type { Bus } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { SharedMemberId, SharedQueues } from '@breakwater/store'
import type { SharedOutbound } from './shared-outbound.ts'
import type { SharedQueue } from './shared-queue.ts'
import type { Events } from '../observe/events.ts'
import type { SharedGroup, SharedTable } from './shared-table.ts'

export interface SharedMembershipOptions {
  readonly table: SharedTable
  readonly queues: SharedQueues
  readonly bus: Bus
  readonly cluster: Pick<Cluster, 'whenCaughtUp'>
  readonly events: Events
  /** What this node has to deliver of a group. */
  readonly queueOf: (group: SharedGroup) => SharedQueue
}

/** After so many ms without progress at a node other nodes may claim its messages. */
const STALL_MS = 1_000
const RETRY_MS = 1_000

export class SharedMembership implements Disposable {
  readonly #options: SharedMembershipOptions
  readonly #table: SharedTable
  readonly #self: SharedMemberId
  readonly #timer: NodeJS.Timeout
  #closed = false

  constructor(options: SharedMembershipOptions) {
    this.#options = options
    this.#table = options.table
    this.#self = `n${options.bus.nodeId}`
    this.#timer = setInterval(() => this.#handOnStalled(), STALL_MS).unref()
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  /** A session of this node is a member; resolves when the store knows. */
  async add(
    filter: string,
    qos: 0 | 1 | 2,
    member: { clientId: string; persistent: boolean; outbound: SharedOutbound },
  ): Promise<void> {
    const group = this.#table.open(filter)
    if (group === undefined) return
    const { clientId, persistent, outbound } = member
    if (group.queue === undefined) {
      group.queue = this.#options.queueOf(group)
      group.joined = this.#join(filter, this.#self)
    }
    this.#table.setMember(group, { clientId, outbound, qos })
    outbound.queues.add(group.queue)
    await Promise.all([
      group.joined,
      persistent && qos > 0 ? this.#join(filter, `c${clientId}`) : undefined,
    ])
    if (persistent && qos === 0) await this.leaveStored(filter, clientId)
    group.queue?.joined()
  }

  /** Returns whether it was the last member of this node. */
  remove(filter: string, outbound: SharedOutbound): boolean {
    const group = this.#table.get(filter)
    if (group === undefined || !this.#table.deleteMember(group, outbound)) return false
    if (group.queue !== undefined) outbound.queues.delete(group.queue)
    if (group.members.length > 0) return false
    void this.#leave(group)
    return true
  }

  /** A stored session is no member any more. */
  async leaveStored(filter: string, clientId: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#options.queues.leave(filter, `c${clientId}`, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  /** The others know all members of this node: what they gave up before is seen now. */
  look(filters: readonly string[]): void {
    for (const filter of filters) this.#table.get(filter)?.queue?.look()
  }

  /** Messages of other nodes to this one may have been lost. */
  resync(): void {
    for (const { queue } of this.#table.all) queue?.look()
  }

  /** Others took this node for dead, and may have taken what it had to deliver. */
  revive(): void {
    for (const group of this.#table.all)
      if (group.queue !== undefined) this.rejoin(group, () => group.queue?.reset())
  }

  /** Redis has lost the queue, or the membership of this node. */
  rejoin({ filter }: SharedGroup, done: () => void): void {
    this.#join(filter, this.#self).then(done, (error: Error) => this.#failed(filter, error))
  }

  /** A node has left for good: its members are gone, what it had to deliver is anybody's. */
  gone(nodeId: string): void {
    const groups = this.#table.clearNode(nodeId)
    if (groups.length > 0) this.#endOf(nodeId, groups)
  }

  /** All that have members: the first that asks takes it. */
  tellOthers({ filter, nodes }: SharedGroup): void {
    for (const node of nodes) this.#options.bus.tell(node, { kind: 'assigned', filter })
  }

  #join(filter: string, member: SharedMemberId): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.queues.join(filter, member, (error) => {
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  /** What members have finished is stored before others may take the rest. */
  async #leave(group: SharedGroup): Promise<void> {
    group.emptied += 1
    const { emptied } = group
    await this.#options.queues.settled()
    if (group.members.length > 0 || group.emptied !== emptied) return
    group.queue?.close()
    group.queue = undefined
    this.#end(group, this.#self)
  }

  /** Whoever is behind the log may take for gone a node that is back, and would end its groups with their messages. */
  #endOf(nodeId: string, groups: readonly SharedGroup[]): void {
    this.#options.cluster.whenCaughtUp((error) => {
      if (error !== undefined) {
        this.#again(() => this.#endOf(nodeId, groups))
        return
      }
      for (const group of groups)
        if (this.#table.get(group.filter)?.nodes.includes(nodeId) !== true)
          this.#end(group, `n${nodeId}`, () => this.#endOf(nodeId, [group]))
    })
  }

  #again(what: () => void): void {
    if (!this.#closed) setTimeout(what, RETRY_MS).unref()
  }

  #end(group: SharedGroup, member: SharedMemberId, again = () => this.#end(group, member)): void {
    // It has members again: it is a member all the same.
    if (member === this.#self && group.queue !== undefined) return
    this.#options.queues.leave(group.filter, member, (error) => {
      if (error !== undefined) {
        this.#failed(group.filter, error)
        this.#again(again)
        return
      }
      if (group.queue === undefined) this.tellOthers(group)
      else group.queue.look()
      this.#table.close(group)
    })
  }

  #handOnStalled(): void {
    for (const group of this.#table.all) {
      const { queue, members, nodes, filter } = group
      if (queue === undefined || nodes.length === 0 || members.length === 0) continue
      if (members.some(({ outbound, qos }) => outbound.takes(qos))) continue
      queue.handOn().then(
        (any) => {
          if (any) this.tellOthers(group)
        },
        (error: Error) => {
          this.#failed(filter, error)
          queue.reset()
        },
      )
    }
  }

  #failed(filter: string, error: Error): void {
    this.#options.events.storeFailed(`members of ${filter}`, error)
  }
}
