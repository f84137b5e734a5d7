/**
 * G12: a QoS 2 message lies once in every queue. A queued message keeps its packet id for as long as it lives, so
 * a second packet id in the same session, or a second copy on one connection, is a second entry. What a shared
 * group hands on has another packet id: see shared.ts.
 */
import type { Delivery } from '../history.ts'
import type { At, HistoryIndex } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

export function checkExactlyOnce(index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  for (const { client, deliveries } of index.lives)
    if (!index.members.has(client))
      violations.push(...twice(index, deliveries, `the session of ${client}`))
  for (const { client, connect, number, deliveries } of index.connections.values())
    if (connect.clean && !index.members.has(client))
      violations.push(...twice(index, deliveries, `connection ${number} of ${client}`))
  return inOrder(violations)
}

function twice(
  index: HistoryIndex,
  deliveries: readonly At<Delivery>[],
  where: string,
): Violation[] {
  const packetIds = new Map<string, number>()
  const violations: Violation[] = []
  for (const { message, qos, retain, packetId, client, at } of deliveries) {
    if (qos === 0 || retain || index.published.get(message)?.sends[0]?.qos !== 2) continue
    const before = packetIds.get(message)
    if (before === undefined) packetIds.set(message, packetId)
    else if (before !== packetId) {
      const text = `${where} got ${message} twice, as packet ${before} and as packet ${packetId}`
      violations.push({ guarantee: 'G12', text, at, client, message })
    }
  }
  return violations
}
