/**
 * A history, looked up by what its lines are about. `seq` is a line's place in the history: what has a smaller
 * one happened before.
 */
import type { Connect, Delivery, HistoryLine, PublishSent } from '../history.ts'

export type At<L> = L & { readonly seq: number }

/** One application message, however often its PUBLISH was sent. */
export interface Published {
  readonly id: string
  readonly sends: At<PublishSent>[]
  /** How often PUBREL was sent. */
  releases: number
  /** Place of its last acknowledgement: PUBACK, or PUBCOMP of QoS 2. Undefined: none has come. */
  acknowledged: number | undefined
}

interface Subscription {
  readonly filter: string
  readonly qos: number
  /** Place of the SUBACK. */
  readonly from: number
  /** Place of the UNSUBSCRIBE. */
  until: number
}

export interface Connection {
  readonly number: number
  readonly client: string
  readonly connect: At<Connect>
  /** Place of an accepting CONNACK; Infinity before. */
  accepted: number
  /** Place of the last packet that came from the node: it was connected there until then, at least. */
  heard: number
  sessionPresent: boolean
  /** When it said DISCONNECT. */
  disconnectedAt: number | undefined
  closed:
    | { readonly seq: number; readonly at: number; readonly by: 'client' | 'broker' }
    | undefined
  readonly subscriptions: Subscription[]
  readonly deliveries: At<Delivery>[]
}

/** A persistent session from its first connection to the clean CONNECT that ends it. */
export interface Life {
  readonly client: string
  readonly from: number
  until: number
  readonly connections: Connection[]
  readonly subscriptions: Subscription[]
  readonly deliveries: At<Delivery>[]
}

export interface HistoryIndex {
  readonly lines: readonly HistoryLine[]
  readonly published: ReadonlyMap<string, Published>
  readonly connections: ReadonlyMap<number, Connection>
  readonly lives: readonly Life[]
  /** By client id, in the order of their CONNACKs. */
  readonly acceptedOf: ReadonlyMap<string, readonly Connection[]>
  /** Connections whose CONNACK said that there was no session, though there was one. */
  readonly lost: readonly Connection[]
  /** Client ids with a shared subscription. Their messages have no order, and may be sent again to another client. */
  readonly members: ReadonlySet<string>
}

const FROM_NODE: ReadonlySet<HistoryLine['kind']> = new Set([
  'connack',
  'suback',
  'unsuback',
  'puback',
  'pubrec',
  'pubcomp',
  'delivered',
] as const)

export function indexHistory(lines: readonly HistoryLine[]): HistoryIndex {
  const published = new Map<string, Published>()
  const connections = new Map<number, Connection>()
  const acceptedOf = new Map<string, Connection[]>()
  const lives: Life[] = []
  const open = new Map<string, Life>()
  const lifeOf = new Map<Connection, Life>()
  const lost: Connection[] = []
  const members = new Set<string>()

  const accept = (connection: Connection, seq: number, sessionPresent: boolean): void => {
    connection.accepted = seq
    connection.sessionPresent = sessionPresent
    const accepted = acceptedOf.get(connection.client) ?? []
    acceptedOf.set(connection.client, accepted)
    accepted.push(connection)
    if (connection.connect.clean) return
    let life = open.get(connection.client)
    if (life !== undefined && !sessionPresent) {
      lost.push(connection)
      life.until = seq
      life = undefined
    }
    if (life === undefined) {
      life = newLife(connection.client, seq)
      lives.push(life)
      open.set(connection.client, life)
    }
    life.connections.push(connection)
    lifeOf.set(connection, life)
  }

  for (const [seq, line] of lines.entries()) {
    if (line.kind === 'fault' || line.kind === 'node-closed') continue
    if (line.kind === 'connect') {
      connections.set(line.connection, newConnection({ ...line, seq }))
      const life = open.get(line.client)
      if (line.clean && life !== undefined) {
        life.until = seq
        open.delete(line.client)
      }
      continue
    }
    const connection = connections.get(line.connection)
    // A line without CONNECT is one of a connection that never began.
    if (connection === undefined) continue
    const life = lifeOf.get(connection)
    if (FROM_NODE.has(line.kind)) connection.heard = seq
    if (line.kind === 'connack') {
      if (line.returnCode === 0) accept(connection, seq, line.sessionPresent)
    } else if (line.kind === 'disconnect') connection.disconnectedAt = line.at
    else if (line.kind === 'closed') connection.closed = { seq, at: line.at, by: line.by }
    else if (line.kind === 'suback') {
      if (line.qos > 2) continue
      if (line.filter.startsWith('$share/')) members.add(line.client)
      for (const list of [connection.subscriptions, life?.subscriptions ?? []])
        list.push({ filter: line.filter, qos: line.qos, from: seq, until: Infinity })
    } else if (line.kind === 'unsubscribe') {
      for (const subscription of [...connection.subscriptions, ...(life?.subscriptions ?? [])])
        if (subscription.filter === line.filter && subscription.until === Infinity)
          subscription.until = seq
    } else if (line.kind === 'publish')
      messageOf(published, line.message).sends.push({ ...line, seq })
    else if (line.kind === 'pubrel') messageOf(published, line.message).releases += 1
    else if (line.kind === 'puback' || line.kind === 'pubcomp')
      messageOf(published, line.message).acknowledged ??= seq
    else if (line.kind === 'delivered') {
      connection.deliveries.push({ ...line, seq })
      life?.deliveries.push({ ...line, seq })
    }
  }
  return { lines, published, connections, lives, acceptedOf, lost, members }
}

function messageOf(published: Map<string, Published>, id: string): Published {
  const known = published.get(id)
  if (known !== undefined) return known
  const message: Published = { id, sends: [], releases: 0, acknowledged: undefined }
  published.set(id, message)
  return message
}

function newConnection(connect: At<Connect>): Connection {
  return {
    number: connect.connection,
    client: connect.client,
    connect,
    accepted: Infinity,
    heard: -1,
    sessionPresent: false,
    disconnectedAt: undefined,
    closed: undefined,
    subscriptions: [],
    deliveries: [],
  }
}

function newLife(client: string, from: number): Life {
  const lists = { connections: [], subscriptions: [], deliveries: [] }
  return { client, from, until: Infinity, ...lists }
}

/** Whether nothing but one PUBLISH, and one PUBREL at most, was sent of it. */
export function sentOnce({ sends, releases }: Published): boolean {
  return sends.length === 1 && releases <= 1
}

/** Place of the first CONNACK that a later connection of the client got. */
export function succeededAt(index: HistoryIndex, connection: Connection): number {
  const later = index.acceptedOf
    .get(connection.client)
    ?.find(({ accepted }) => accepted > connection.accepted)
  return later?.accepted ?? Infinity
}
