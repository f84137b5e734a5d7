/**
 * G2: a connection of a clean subscriber has no gap. A gap is sure where a later message of the same publisher,
 * topic and QoS came, or where the connection lived until everything had been read. Where the broker then
 * closes the connection in time (`lease-lost`, `bus-overflow`), the gap is not a silent one.
 *
 * Not covered, and stated in docs/GUARANTEES.md: a QoS 2 message whose PUBREL was sent again.
 */
import { matches } from './filter-match.ts'
import type { Connection, HistoryIndex, Published } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

export interface LiveGapOptions {
  /** The time that the broker may take to close the connection after a gap, ms. */
  readonly closeWithinMs: number
}

export function checkLiveGaps(index: HistoryIndex, { closeWithinMs }: LiveGapOptions): Violation[] {
  const streams = streamsOf(index)
  const violations: Violation[] = []
  for (const connection of index.connections.values()) {
    if (!connection.connect.clean || connection.subscriptions.length === 0) continue
    const firstAt = new Map<string, number>()
    for (const { message, retain, at } of connection.deliveries)
      if (!retain && !firstAt.has(message)) firstAt.set(message, at)
    for (const stream of streams) {
      const gap = gapIn(stream, connection, firstAt)
      if (gap !== undefined && !closedInTime(connection, gap.shownAt, closeWithinMs))
        violations.push(gap.violation)
    }
  }
  return inOrder(violations)
}

/** Acknowledged messages of one publisher's connection, topic and QoS, as they were sent. */
function streamsOf({ published }: HistoryIndex): Published[][] {
  const streams = new Map<string, Published[]>()
  for (const message of published.values()) {
    const [send] = message.sends
    if (send === undefined || send.qos === 0 || message.releases > 1) continue
    if (message.sends.length > 1 || message.acknowledged === undefined) continue
    const key = `${send.connection} ${send.qos} ${send.topic}`
    const stream = streams.get(key)
    if (stream === undefined) streams.set(key, [message])
    else stream.push(message)
  }
  return [...streams.values()]
}

function gapIn(
  stream: readonly Published[],
  connection: Connection,
  firstAt: ReadonlyMap<string, number>,
): { violation: Violation; shownAt: number } | undefined {
  const owed = stream.filter(({ sends: [send] }) =>
    connection.subscriptions.some(
      ({ filter, qos, from, until }) =>
        qos > 0 &&
        send !== undefined &&
        from < send.seq &&
        until === Infinity &&
        matches(filter, send.topic),
    ),
  )
  const last = owed.findLastIndex(({ id }) => firstAt.has(id))
  const stayed = connection.closed === undefined
  const missing = owed.findIndex(({ id }, place) => !firstAt.has(id) && (place < last || stayed))
  const message = owed[missing]
  if (message === undefined) return undefined
  const proof = owed.slice(missing).find(({ id }) => firstAt.has(id))
  const { client } = connection
  return {
    shownAt: (proof && firstAt.get(proof.id)) ?? Infinity,
    violation: {
      guarantee: 'G2',
      text: `${message.id} did not reach ${client} on its connection ${connection.number}, which went on`,
      at: message.sends[0]?.at ?? 0,
      client,
      message: message.id,
    },
  }
}

function closedInTime({ closed }: Connection, shownAt: number, withinMs: number): boolean {
  return closed?.by === 'broker' && closed.at - shownAt <= withinMs
}
