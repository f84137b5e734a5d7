/**
 * G11, as far as the metrics of today go: what clients have seen of a node, the node has counted; no queue has
 * given up a copy in a round in which all have room; and when all is read nothing is queued or under way. What is
 * missing for the whole equation is a count of matched copies: then matched = delivered + queued + dropped.
 */
import type { NodeBooks } from '../books.ts'
import type { HistoryIndex } from './history-index.ts'
import type { Violation } from './violation.ts'

export function checkBalance(
  index: HistoryIndex,
  books: readonly NodeBooks[],
  at: number,
): Violation[] {
  const seen = new Map<string, number>()
  const acknowledged = new Map<string, number>()
  const count = (of: Map<string, number>, connection: number): void => {
    const node = index.connections.get(connection)?.connect.node
    if (node !== undefined) of.set(node, (of.get(node) ?? 0) + 1)
  }
  for (const line of index.lines) {
    if (line.kind === 'delivered') count(seen, line.connection)
    else if (line.kind === 'puback' || line.kind === 'pubrec') count(acknowledged, line.connection)
  }
  const violations: Violation[] = []
  const wrong = (text: string): void => void violations.push({ guarantee: 'G11', text, at })
  for (const { name, received, delivered, inflight, queued, queueFull } of books) {
    const [got, confirmed] = [seen.get(name) ?? 0, acknowledged.get(name) ?? 0]
    if (got > delivered) wrong(`${name} counts ${delivered} deliveries, its clients got ${got}`)
    if (confirmed > received)
      wrong(`${name} counts ${received} messages received, and has acknowledged ${confirmed}`)
    if (inflight > 0) wrong(`${name} counts ${inflight} messages in flight when all are answered`)
    if (queued > 0) wrong(`${name} counts ${queued} queued messages when all have been read`)
    if (queueFull > 0) wrong(`${name} has dropped ${queueFull} copies, though no queue was full`)
  }
  return violations
}
