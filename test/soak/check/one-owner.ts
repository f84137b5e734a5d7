/**
 * G3: once a later connection of a client id has its CONNACK, the older one is given and confirmed nothing for
 * longer than a bound; time in which a fault kept the nodes from hearing of each other does not count. What the
 * older one acknowledges after that CONNACK is not taken: see resume.ts, which finds the message missing.
 */
import type { HistoryLine } from '../history.ts'
import { faultWindows } from './fault-windows.ts'
import type { HistoryIndex } from './history-index.ts'
import { succeededAt } from './history-index.ts'
import type { Violation } from './violation.ts'

export interface OneOwnerOptions {
  readonly endWithinMs: number
  /** How long the effects of a fault may last beyond it. */
  readonly recoverMs: number
}

const SERVED: ReadonlySet<HistoryLine['kind']> = new Set([
  'delivered',
  'puback',
  'pubrec',
  'pubcomp',
  'suback',
] as const)

export function checkOneOwner(index: HistoryIndex, options: OneOwnerOptions): Violation[] {
  const windows = faultWindows(index.lines, options.recoverMs)
  const blamed = new Set<number>()
  const violations: Violation[] = []
  for (const line of index.lines) {
    if (!SERVED.has(line.kind) || !('connection' in line) || blamed.has(line.connection)) continue
    const connection = index.connections.get(line.connection)
    if (connection === undefined) continue
    const since = index.lines[succeededAt(index, connection)]
    if (since === undefined || since.at >= line.at) continue
    const calm = windows.calmMs(since.at, line.at)
    if (calm <= options.endWithinMs) continue
    blamed.add(line.connection)
    violations.push({
      guarantee: 'G3',
      text: `connection ${line.connection} of ${line.client} was served (${line.kind}) ${Math.round(calm)} ms after a later connection was accepted`,
      at: line.at,
      client: line.client,
      ...('message' in line ? { message: line.message } : {}),
    })
  }
  return violations
}
