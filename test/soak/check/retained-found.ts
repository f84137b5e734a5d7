/**
 * G1, of retained messages: a client that subscribes after a retained message was acknowledged finds it, or a newer one of
 * its topic. Judged for connections of clean sessions that lived until everything had been read.
 *
 * Which of two is newer is certain only where one was over before the other was sent: what was sent again, or
 * released again, after its acknowledgement may have taken effect at any later time.
 */
import { matches } from './filter-match.ts'
import type { Connection, HistoryIndex, Published } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

export function checkRetainedFound(index: HistoryIndex): Violation[] {
  const retained = [...index.published.values()].filter(({ sends: [send] }) => send?.retain)
  const topics = Map.groupBy(retained, ({ sends: [send] }) => send?.topic ?? '')
  const violations: Violation[] = []
  for (const connection of index.connections.values()) {
    if (!connection.connect.clean || connection.closed !== undefined) continue
    for (const { filter, until } of connection.subscriptions) {
      if (until !== Infinity) continue
      for (const [topic, messages] of topics)
        if (matches(filter, topic)) violations.push(...missed(index, connection, messages))
    }
  }
  return inOrder(violations)
}

function missed(
  index: HistoryIndex,
  { client, number, connect, deliveries }: Connection,
  messages: readonly Published[],
): Violation[] {
  const owed = messages
    .filter(({ acknowledged }) => (acknowledged ?? Infinity) < connect.seq)
    .toSorted((one, other) => firstSent(one) - firstSent(other))
    .at(-1)
  if (owed === undefined) return []
  const found = deliveries.some(({ message }) => {
    const known = messages.find(({ id }) => id === message)
    return known !== undefined && !isOver(known, firstSent(owed))
  })
  if (found) return []
  return [
    {
      guarantee: 'G1',
      text: `${owed.id} was acknowledged and retained, and ${client} did not find it on its connection ${number}`,
      at: index.lines[owed.acknowledged ?? 0]?.at ?? 0,
      client,
      message: owed.id,
    },
  ]
}

function firstSent({ sends }: Published): number {
  return sends[0]?.seq ?? Infinity
}

/** Whether nothing of it can take effect after this line. */
function isOver({ sends, releases, acknowledged = Infinity }: Published, seq: number): boolean {
  const isSettled = (sends.at(-1)?.seq ?? Infinity) < acknowledged && releases <= 1
  return isSettled && acknowledged < seq
}
