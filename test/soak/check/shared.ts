/**
 * G13: of a shared group each acknowledged message reaches one member; a second one only where the first
 * member's connection ended before it had acknowledged.
 */
import type { Delivery } from '../history.ts'
import { matches } from './filter-match.ts'
import type { At, Connection, HistoryIndex } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

const SHARED = /^\$share\/([^/]+)\/(.+)$/

interface Group {
  readonly name: string
  readonly filter: string
  readonly members: Connection[]
  /** The first SUBACK of a member. */
  from: number
}

export function checkShared(index: HistoryIndex): Violation[] {
  const answered = new Set<string>()
  for (const line of index.lines)
    if (line.kind === 'answer') answered.add(`${line.connection} ${line.message}`)
  const violations: Violation[] = []
  for (const group of groupsOf(index)) {
    const copies = new Map<string, At<Delivery>[]>()
    for (const { deliveries } of group.members)
      for (const delivery of deliveries) {
        if (delivery.qos === 0 || !matches(group.filter, delivery.topic)) continue
        const list = copies.get(delivery.message) ?? []
        copies.set(delivery.message, list)
        list.push(delivery)
      }
    violations.push(...unreached(index, group, copies), ...doubled(index, group, copies, answered))
  }
  return inOrder(violations)
}

function groupsOf(index: HistoryIndex): Group[] {
  const groups = new Map<string, Group>()
  for (const connection of index.connections.values())
    for (const { filter: full, from } of connection.subscriptions) {
      const [, name, filter] = SHARED.exec(full) ?? []
      if (name === undefined || filter === undefined) continue
      const group = groups.get(full) ?? { name, filter, members: [], from }
      groups.set(full, group)
      group.members.push(connection)
      group.from = Math.min(group.from, from)
    }
  return [...groups.values()]
}

/** While a member is there at the end, nothing that was acknowledged may be left. */
function unreached(
  index: HistoryIndex,
  { name, filter, members, from }: Group,
  copies: ReadonlyMap<string, unknown>,
): Violation[] {
  if (members.every(({ closed }) => closed !== undefined)) return []
  const violations: Violation[] = []
  for (const { id, acknowledged, sends } of index.published.values()) {
    const [send] = sends
    if (send === undefined || send.qos === 0 || acknowledged === undefined) continue
    if (send.seq < from || !matches(filter, send.topic) || copies.has(id)) continue
    const text = `${id} was acknowledged and reached no member of ${name}`
    violations.push({ guarantee: 'G13', text, at: send.at, message: id })
  }
  return violations
}

function doubled(
  index: HistoryIndex,
  { name }: Group,
  copies: ReadonlyMap<string, readonly At<Delivery>[]>,
  answered: ReadonlySet<string>,
): Violation[] {
  const violations: Violation[] = []
  for (const [id, deliveries] of copies) {
    if ((index.published.get(id)?.sends.length ?? 0) > 1) continue
    const ordered = deliveries.toSorted((one, other) => one.seq - other.seq)
    for (const [place, delivery] of ordered.entries()) {
      const before = ordered.slice(0, place).find(({ client }) => client !== delivery.client)
      if (before === undefined) continue
      const ended = index.connections.get(before.connection)?.closed?.seq ?? Infinity
      if (ended < delivery.seq && !answered.has(`${before.connection} ${id}`)) continue
      const text = `${id} reached ${before.client} and ${delivery.client}, both of ${name}`
      violations.push({
        guarantee: 'G13',
        text,
        at: delivery.at,
        client: delivery.client,
        message: id,
      })
    }
  }
  return violations
}
