/**
 * G5: per publisher's connection, topic and QoS a subscriber sees publish order, on each of its connections, and
 * over a session as far as a message comes for the first time. Messages that were sent more than once, retained
 * copies, what a connection gets that has a successor already, and shared subscriptions have no place in that
 * order.
 */
import type { Delivery } from '../history.ts'
import { sentOnce, succeededAt, type At, type HistoryIndex } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

export function checkOrder(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  for (const { client, number, deliveries } of index.connections.values())
    if (!index.members.has(client))
      violations.push(...wrongOrder(index, deliveries, `connection ${number} of ${client}`))
  for (const { client, deliveries } of index.lives) {
    if (index.members.has(client)) continue
    const own = deliveries.filter(({ connection, seq, message }) => {
      const known = index.connections.get(connection)
      // QoS 0 is no part of a session: it takes its way to each connection.
      const isQueued = (index.published.get(message)?.sends[0]?.qos ?? 0) > 0
      return isQueued && known !== undefined && seq < succeededAt(index, known)
    })
    violations.push(...wrongOrder(index, own, `the session of ${client}`))
  }
  return inOrder(violations)
}

function wrongOrder(
  index: HistoryIndex,
  deliveries: readonly At<Delivery>[],
  where: string,
): Violation[] {
  const seen = new Set<string>()
  const last = new Map<string, { readonly seq: number; readonly id: string }>()
  const violations: Violation[] = []
  for (const { message: id, retain, client, at } of deliveries) {
    if (retain || seen.has(id)) continue
    seen.add(id)
    const message = index.published.get(id)
    const [send] = message?.sends ?? []
    if (message === undefined || send === undefined || !sentOnce(message)) continue
    const stream = `${send.connection} ${send.topic} ${send.qos}`
    const before = last.get(stream)
    if (before === undefined || before.seq < send.seq) last.set(stream, { seq: send.seq, id })
    else {
      const text = `${where} got ${id} after ${before.id}, which was published later`
      violations.push({ guarantee: 'G5', text, at, client, message: id })
    }
  }
  return violations
}
