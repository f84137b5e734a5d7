/**
 * G8: the will of a connection that ended without DISCONNECT reaches every persistent session that waits for it,
 * unless the client came back, which may have cancelled it; that of a connection that said DISCONNECT, to a node
 * that could receive it, reaches no client; and none arrives after what a later connection of the same client has
 * published to the same topic, where the node of the will could hear of that connection, and store the will.
 */
import { faultsNear, faultWindows } from './fault-windows.ts'
import { matches } from './filter-match.ts'
import type { Connection, HistoryIndex, Life } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

/** What a node needs at most, in calm, to hear DISCONNECT and to forget the will. */
const HEAR_MS = 1_000

export function checkWills(index: HistoryIndex): Violation[] {
  const lastOf = new Map<string, number>()
  for (const { client, number } of index.connections.values()) lastOf.set(client, number)
  const violations: Violation[] = []
  for (const life of index.lives) {
    if (life.until !== Infinity) continue
    const firstSeen = new Map<string, number>()
    for (const { message, seq } of life.deliveries)
      if (!firstSeen.has(message)) firstSeen.set(message, seq)
    for (const connection of index.connections.values()) {
      const isLast = lastOf.get(connection.client) === connection.number
      violations.push(...judge(index, life, connection, firstSeen, isLast))
    }
  }
  return inOrder(violations)
}

function judge(
  index: HistoryIndex,
  life: Life,
  connection: Connection,
  firstSeen: ReadonlyMap<string, number>,
  isLast: boolean,
): Violation[] {
  const { client, number, connect, closed, disconnectedAt, accepted, heard } = connection
  const { will, willTopic } = connect
  if (will === undefined || willTopic === undefined || accepted === Infinity) return []
  const waits = life.subscriptions.some(
    ({ filter, qos, from, until }) =>
      qos > 0 && from < heard && until === Infinity && matches(filter, willTopic),
  )
  const seen = firstSeen.get(will)
  const about = { guarantee: 'G8', at: closed?.at ?? connect.at, client, message: will } as const
  if (seen === undefined)
    return !waits || closed === undefined || disconnectedAt !== undefined || !isLast
      ? []
      : [{ ...about, text: `the will of connection ${number} never reached ${life.client}` }]
  if (disconnectedAt !== undefined && couldHear(index, connection, disconnectedAt))
    return [{ ...about, text: `connection ${number} said DISCONNECT, and its will was published` }]
  for (const { sends } of index.published.values()) {
    const [send] = sends
    if (send?.client !== client || send.topic !== willTopic || send.connection <= number) continue
    const newer = firstSeen.get(send.message)
    const later = index.connections.get(send.connection)
    // What happens to the client itself keeps its former node from nothing.
    const former = { client: '', connect }
    if (later === undefined || !couldHear(index, former, later.connect.at)) continue
    if (newer !== undefined && newer < seen)
      return [{ ...about, text: `${will} came after ${send.message}, which the client said later` }]
  }
  return []
}

/** Whether nothing kept its node from what was said then. */
function couldHear(
  index: HistoryIndex,
  { client, connect }: Pick<Connection, 'client' | 'connect'>,
  saidAt: number,
): boolean {
  const near = faultsNear(index.lines, { client, node: connect.node })
  return faultWindows(near, HEAR_MS).isCalm(saidAt, saidAt + HEAR_MS)
}
