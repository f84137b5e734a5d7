/**
 * Who has members of which shared subscription: sessions connected here, other nodes, stored sessions.
 *
 * In: subscriptions of this node, routes of the others, filters of stored sessions. Out: per topic every group
 * that matches. A group is here as long as anybody is in it, or this node has not left its queue yet.
 */
import { parseSharedFilter, type SharedFilter } from '@breakwater/mqtt'
import type { SharedOutbound } from './shared-outbound.ts'
import type { SharedQueue } from './shared-queue.ts'
import { ForwardingTable, type Target } from '@breakwater/matching'
import { placeIn } from './shared-choice.ts'

export interface SharedMember {
  readonly clientId: string
  readonly outbound: SharedOutbound
  qos: 0 | 1 | 2
}

export interface SharedGroup extends Target {
  /** The whole text, `$share/…`. */
  readonly filter: string
  readonly topicFilter: string
  /** Connected here, by client id in order. */
  readonly members: SharedMember[]
  /** Other nodes that have members, in order. */
  readonly nodes: string[]
  /** Client ids of stored sessions with QoS 1 or 2. */
  readonly stored: Set<string>
  /** What this node has to deliver; there while it is a member of the group's queue. */
  queue: SharedQueue | undefined
  /** Resolves when it is. */
  joined: Promise<void> | undefined
  /** Rise with each choice, of a node and of a member. */
  nodeTurn: number
  memberTurn: number
  /** How often the last member here has gone. */
  emptied: number
}

export class SharedTable {
  readonly #table: ForwardingTable<SharedGroup>
  readonly #groups = new Map<string, SharedGroup>()
  readonly #ofNodes = new Map<string, Set<SharedGroup>>()

  constructor(shapesMax: number) {
    this.#table = new ForwardingTable({ shapesMax })
  }

  get size(): number {
    return this.#groups.size
  }

  get all(): Iterable<SharedGroup> {
    return this.#groups.values()
  }

  get(filter: string): SharedGroup | undefined {
    return this.#groups.get(filter)
  }

  match(topic: string): readonly SharedGroup[] {
    return this.#table.match(topic).targets
  }

  /** Filters of other nodes may be those of a newer version: what is malformed here has no group. */
  open(filter: string): SharedGroup | undefined {
    const known = this.#groups.get(filter)
    if (known !== undefined) return known
    const parsed = parseSharedFilter(filter)
    if (parsed === undefined) return undefined
    const group = groupOf(filter, parsed)
    this.#groups.set(filter, group)
    this.#table.set(group.topicFilter, group, 2)
    return group
  }

  /** Forgets the group if there is nothing left of it. */
  close(group: SharedGroup): void {
    const { filter, topicFilter, members, nodes, stored, queue } = group
    if (members.length + nodes.length + stored.size > 0 || queue !== undefined) return
    if (this.#groups.get(filter) !== group) return
    this.#groups.delete(filter)
    this.#table.delete(topicFilter, group)
  }

  setMember(group: SharedGroup, member: SharedMember): void {
    const { members } = group
    const place = placeIn(
      members.map(({ clientId }) => clientId),
      member.clientId,
    )
    members.splice(place, members[place]?.outbound === member.outbound ? 1 : 0, member)
  }

  deleteMember(group: SharedGroup, outbound: SharedOutbound): boolean {
    const place = group.members.findIndex((member) => member.outbound === outbound)
    if (place === -1) return false
    group.members.splice(place, 1)
    return true
  }

  addNode(filter: string, nodeId: string): void {
    const group = this.open(filter)
    if (group === undefined || group.nodes.includes(nodeId)) return
    group.nodes.splice(placeIn(group.nodes, nodeId), 0, nodeId)
    const groups = this.#ofNodes.get(nodeId) ?? new Set()
    this.#ofNodes.set(nodeId, groups.add(group))
  }

  deleteNode(filter: string, nodeId: string): void {
    const group = this.#groups.get(filter)
    if (group === undefined || !group.nodes.includes(nodeId)) return
    group.nodes.splice(group.nodes.indexOf(nodeId), 1)
    this.#ofNodes.get(nodeId)?.delete(group)
    this.close(group)
  }

  /** Returns the groups that the node was in. */
  clearNode(nodeId: string): readonly SharedGroup[] {
    const groups = [...(this.#ofNodes.get(nodeId) ?? [])]
    for (const { filter } of groups) this.deleteNode(filter, nodeId)
    this.#ofNodes.delete(nodeId)
    return groups
  }

  setStored(filter: string, clientId: string): void {
    this.open(filter)?.stored.add(clientId)
  }

  deleteStored(filter: string, clientId: string): void {
    const group = this.#groups.get(filter)
    if (group === undefined) return
    group.stored.delete(clientId)
    this.close(group)
  }
}

function groupOf(filter: string, { topicFilter }: SharedFilter): SharedGroup {
  return {
    matchStamp: 0,
    matchIndex: 0,
    filter,
    topicFilter,
    members: [],
    nodes: [],
    stored: new Set(),
    queue: undefined,
    joined: undefined,
    nodeTurn: 0,
    memberTurn: 0,
    emptied: 0,
  }
}
