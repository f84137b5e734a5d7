/**
 * G13: of a shared group each acknowledged message reaches a member, as long as one persistent session has been
 * in the group since before it was sent; and it reaches one member only, unless the first one's connection ended
 * before its node could know that it had acknowledged, or something kept one of their nodes from the others
 * meanwhile: one that is declared dead and is not has what was handed on, too.
 */
import type { Delivery } from '../history.ts'
import { faultsNear, faultWindows } from './fault-windows.ts'
import { matches } from './filter-match.ts'
import { sentOnce, type At, type HistoryIndex } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

const SHARED = /^\$share\/([^/]+)\/(.+)$/
/** What a node needs at most, in calm, to note what a member has acknowledged. */
const NOTE_MS = 1_000

interface Group {
  readonly name: string
  readonly filter: string
  readonly members: ReadonlySet<string>
  /** The oldest SUBACK of a session that is still in the group; Infinity: none is. */
  readonly from: number
}

export interface SharedOptions {
  /** How long the effects of a fault may last beyond it. */
  readonly recoverMs: number
}

export function checkShared(index: HistoryIndex, { recoverMs }: SharedOptions): Violation[] {
  const answeredAt = new Map<string, number>()
  for (const line of index.lines)
    if (line.kind === 'answer') answeredAt.set(`${line.connection} ${line.message}`, line.at)
  const violations: Violation[] = []
  for (const group of groupsOf(index)) {
    const copies = new Map<string, At<Delivery>[]>()
    for (const { client, deliveries } of index.connections.values()) {
      if (!group.members.has(client)) continue
      for (const delivery of deliveries) {
        if (delivery.qos === 0 || !matches(group.filter, delivery.topic)) continue
        const list = copies.get(delivery.message) ?? []
        copies.set(delivery.message, list)
        list.push(delivery)
      }
    }
    violations.push(...unreached(index, group, copies))
    violations.push(...doubled(index, group, { copies, answeredAt, recoverMs }))
  }
  return inOrder(violations)
}

function groupsOf(index: HistoryIndex): Group[] {
  const names = new Map<string, { members: Set<string>; from: number }>()
  const open = (full: string): { members: Set<string>; from: number } => {
    const group = names.get(full) ?? { members: new Set(), from: Infinity }
    names.set(full, group)
    return group
  }
  for (const { client, subscriptions } of index.connections.values())
    for (const { filter } of subscriptions)
      if (SHARED.test(filter)) open(filter).members.add(client)
  for (const { until: ended, subscriptions } of index.lives)
    for (const { filter, from, until } of subscriptions) {
      if (!SHARED.test(filter) || ended !== Infinity || until !== Infinity) continue
      const group = open(filter)
      group.from = Math.min(group.from, from)
    }
  return [...names].map(([full, group]) => {
    const [, name = '', filter = ''] = SHARED.exec(full) ?? []
    return { name, filter, ...group }
  })
}

function unreached(
  index: HistoryIndex,
  { name, filter, from }: Group,
  copies: ReadonlyMap<string, unknown>,
): Violation[] {
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

interface Copies {
  readonly copies: ReadonlyMap<string, readonly At<Delivery>[]>
  readonly answeredAt: ReadonlyMap<string, number>
  readonly recoverMs: number
}

function doubled(
  index: HistoryIndex,
  { name }: Group,
  { copies, answeredAt, recoverMs }: Copies,
): Violation[] {
  const violations: Violation[] = []
  for (const [id, deliveries] of copies) {
    const message = index.published.get(id)
    if (message === undefined || !sentOnce(message)) continue
    const ordered = deliveries.toSorted((one, other) => one.seq - other.seq)
    for (const [place, delivery] of ordered.entries()) {
      const before = ordered.slice(0, place).find(({ client }) => client !== delivery.client)
      if (before === undefined) continue
      const { closed, connect } = index.connections.get(before.connection) ?? {}
      const answered = answeredAt.get(`${before.connection} ${id}`) ?? Infinity
      const wasNoted = answered + NOTE_MS < (closed?.at ?? Infinity)
      if ((closed?.seq ?? Infinity) < delivery.seq && !wasNoted) continue
      const near = faultsNear(index.lines, { client: before.client, node: connect?.node ?? '' })
      if (!faultWindows(near, recoverMs).isCalm(before.at, delivery.at)) continue
      const { node = '' } = index.connections.get(delivery.connection)?.connect ?? {}
      const sentAt = message.sends[0]?.at ?? 0
      const late = faultsNear(index.lines, { client: '', node })
      if (!faultWindows(late, 0).isCalm(sentAt, delivery.at)) continue
      const text = `${id} reached ${before.client} and ${delivery.client}, both of ${name}`
      const { at, client } = delivery
      violations.push({ guarantee: 'G13', text, at, client, message: id })
    }
  }
  return violations
}
