/**
 * G4: while one subscriber reads nothing, messages reach the others as before. Judged in the time in which
 * nothing else is broken: an acknowledged message that came to a live subscriber came within a bound.
 */
import type { HistoryLine } from '../history.ts'
import { faultWindows } from './fault-windows.ts'
import type { HistoryIndex } from './history-index.ts'
import { inOrder, type Violation } from './violation.ts'

export interface StalledOptions {
  readonly deliverWithinMs: number
  readonly recoverMs: number
}

const STALL = 'client-stall'

export function checkStalled(index: HistoryIndex, options: StalledOptions): Violation[] {
  const stalls = stallsOf(index.lines)
  if (stalls.length === 0) return []
  const others = index.lines.filter((line) => line.kind !== 'fault' || line.fault !== STALL)
  const windows = faultWindows(others, options.recoverMs)
  const violations: Violation[] = []
  for (const { number, client, deliveries } of index.connections.values()) {
    // It may have had to wait until the member that read nothing was gone.
    if (index.members.has(client)) continue
    for (const { message, retain, dup, at } of deliveries) {
      const [send] = index.published.get(message)?.sends ?? []
      if (send === undefined || retain || dup) continue
      const sentAt = send.at
      const stalled = stalls.find(({ from, to }) => sentAt >= from && sentAt <= to)
      if (stalled === undefined || stalled.client === client) continue
      const accepted = index.lines[index.connections.get(number)?.accepted ?? 0]
      const late = windows.calmMs(Math.max(sentAt, accepted?.at ?? 0), at)
      if (late <= options.deliverWithinMs) continue
      violations.push({
        guarantee: 'G4',
        text: `${client} got ${message} after ${Math.round(late)} ms while ${stalled.client} read nothing`,
        at,
        client,
        message,
      })
    }
  }
  return inOrder(violations)
}

interface Stall {
  readonly client: string
  readonly from: number
  to: number
}

function stallsOf(lines: readonly HistoryLine[]): Stall[] {
  const stalls: Stall[] = []
  const open = new Map<number, Stall>()
  for (const line of lines) {
    if (line.kind === 'stall') {
      const stall = { client: line.client, from: line.at, to: Infinity }
      stalls.push(stall)
      open.set(line.connection, stall)
    } else if (line.kind === 'read' || line.kind === 'closed') {
      const stall = open.get(line.connection)
      if (stall !== undefined) stall.to = line.at
      open.delete(line.connection)
    }
  }
  return stalls
}
