/**
 * G8: the will of a connection that ended without DISCONNECT reaches every persistent session that waits for
 * it, in a bounded time; that of a connection that said DISCONNECT reaches nobody; and none comes after what a
 * later connection of the same client has published to the same topic.
 */
import { matches } from './filter-match.ts'
import type { Connection, HistoryIndex, Life } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

export function checkWills(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  for (const life of index.lives) {
    if (life.until !== Infinity) continue
    const firstSeen = new Map<string, number>()
    for (const { message, seq } of life.deliveries)
      if (!firstSeen.has(message)) firstSeen.set(message, seq)
    for (const connection of index.connections.values())
      violations.push(...judge(index, life, connection, firstSeen))
  }
  return inOrder(violations)
}

function judge(
  index: HistoryIndex,
  life: Life,
  connection: Connection,
  firstSeen: ReadonlyMap<string, number>,
): Violation[] {
  const { client, number, connect, closed, disconnected, accepted } = connection
  const { will, willTopic } = connect
  if (will === undefined || willTopic === undefined || accepted === Infinity) return []
  const waits = life.subscriptions.some(
    ({ filter, qos, from, until }) =>
      qos > 0 && from < connect.seq && until === Infinity && matches(filter, willTopic),
  )
  const seen = firstSeen.get(will)
  const about = { guarantee: 'G8', at: closed?.at ?? connect.at, client, message: will } as const
  if (seen === undefined)
    return !waits || closed === undefined || disconnected
      ? []
      : [{ ...about, text: `the will of connection ${number} never reached ${life.client}` }]
  if (disconnected)
    return [{ ...about, text: `connection ${number} said DISCONNECT, and its will was published` }]
  for (const { sends } of index.published.values()) {
    const [send] = sends
    if (send?.client !== client || send.topic !== willTopic || send.connection <= number) continue
    const newer = firstSeen.get(sends[0] === undefined ? '' : send.message)
    if (newer !== undefined && newer < seen)
      return [{ ...about, text: `${will} came after ${send.message}, which the client said later` }]
  }
  return []
}
