import type { QoS } from '@breakwater/mqtt'
import { SHARED_PACKET_ID_MIN } from '@breakwater/store'
import type { Permissions } from '../access/permissions.ts'
import type { Connection } from '../connection/connection.ts'
import type { FrameSink } from '../deliver/frame-sink.ts'
import type { OutgoingPacket } from '../deliver/exchange.ts'
import type { Outbound } from '../deliver/outbound.ts'
import type { SharedOutbound } from '../shared/shared-outbound.ts'
import type { Account } from './accounts.ts'
import type { InboundLane } from './inbound-lane.ts'
import type { ReplayQueue } from '../retained/replay-queue.ts'

/**
 * A connected client: what its connection, its filters, its deliveries and its publishes have in common. It
 * is a target of the forwarding table.
 */
export class Session {
  /** Scratch of the forwarding table. */
  matchStamp = 0
  matchIndex = 0
  readonly clientId: string
  readonly connection: Connection
  readonly persistent: boolean
  /** An earlier connection of the session has left it. */
  readonly resumed: boolean
  /** Fencing number of this ownership of the client id. */
  readonly epoch: number
  readonly sink: FrameSink
  readonly outbound: Outbound
  readonly lane: InboundLane
  readonly account: Pick<Account, 'name'>
  /** Undefined: everything. */
  readonly permissions: Permissions | undefined
  /** There once it was a member of a shared subscription. */
  shared: SharedOutbound | undefined
  /** Granted filters. */
  readonly filters: Map<string, QoS>
  /** Their bytes (`filterBytesPerClientMax`). */
  filterBytes = 0
  /** How many of them are shared subscriptions (`sharedGroupsPerClientMax`). */
  groups = 0
  /** Grows when they change. */
  filtersVersion = 0
  /** Wildcard shapes among them, with how many filters have each (`shapesPerClientMax`). */
  shapes: Map<number, number> | undefined
  /** Replays under way: topics whose newer retained message went out live since the filters were programmed. */
  #replaying: Set<string>[] | undefined
  /** The replays of its SUBSCRIBEs so far. */
  replays: ReplayQueue | undefined

  constructor(parts: {
    clientId: string
    connection: Connection
    persistent: boolean
    resumed: boolean
    epoch: number
    sink: FrameSink
    outbound: Outbound
    lane: InboundLane
    account: Pick<Account, 'name'>
    permissions: Permissions | undefined
  }) {
    this.clientId = parts.clientId
    this.connection = parts.connection
    this.persistent = parts.persistent
    this.resumed = parts.resumed
    this.epoch = parts.epoch
    this.sink = parts.sink
    this.outbound = parts.outbound
    this.lane = parts.lane
    this.account = parts.account
    this.permissions = parts.permissions
    this.filters = new Map()
  }

  /** PUBACK, PUBREC or PUBCOMP came. */
  acknowledge(packet: OutgoingPacket, packetId: number): void {
    const outbound = packetId < SHARED_PACKET_ID_MIN ? this.outbound : this.shared
    if (outbound !== undefined) outbound.acknowledge(packet, packetId)
    // The client remembers an exchange that is finished here: let it finish too.
    else if (packet === 'pubrec') this.sink.pubrel(packetId)
  }

  /** Filters are about to be programmed whose retained messages will be replayed. */
  beginReplay(): Set<string> {
    const live = new Set<string>()
    this.#replaying ??= []
    this.#replaying.push(live)
    return live
  }

  endReplay(live: Set<string>): void {
    const others = this.#replaying?.filter((other) => other !== live) ?? []
    this.#replaying = others.length === 0 ? undefined : others
  }

  /** A retained message went out, or into the queue: an older one may not follow it. */
  markLive(topic: string): void {
    if (this.#replaying !== undefined) for (const live of this.#replaying) live.add(topic)
  }
}
