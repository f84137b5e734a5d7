/** What happened to one message: every line that concerns it, with the faults and connections around it. */
import type { Violation } from './check/violation.ts'
import type { HistoryLine } from './history.ts'

const LINES_MAX = 80
const AROUND_MS = 3_000

export function storyOf(lines: readonly HistoryLine[], violation: Violation): string[] {
  const { message, client } = violation
  const own = lines.filter((line) => 'message' in line && line.message === message)
  const from = (own[0]?.at ?? violation.at) - AROUND_MS
  const to = (own.at(-1)?.at ?? violation.at) + AROUND_MS
  const sender = own.find(({ kind }) => kind === 'publish')
  const clients = new Set([client, sender !== undefined && 'client' in sender && sender.client])
  const story = lines.filter((line) => {
    if ('message' in line && line.message === message) return true
    if (line.at < from || line.at > to) return false
    if (line.kind === 'fault') return true
    return 'client' in line && clients.has(line.client) && !('message' in line)
  })
  const told = story.slice(0, LINES_MAX).map((line) => tell(line))
  const left = story.length - told.length
  return left > 0 ? [...told, `… ${left} more lines`] : told
}

function tell(line: HistoryLine): string {
  const at = `${(line.at / 1_000).toFixed(3).padStart(8)} s  `
  if (line.kind === 'fault') return `${at}FAULT ${line.phase} ${line.fault} of ${line.target}`
  if (line.kind === 'node-closed')
    return `${at}node ${line.node} closed ${line.client}: ${line.reason}`
  const { at: _at, kind, client, connection, ...facts } = line
  const words = Object.entries(facts).map(([name, value]) => `${name} ${String(value)}`)
  return `${at}${client}/${connection} ${kind} ${words.join(', ')}`.trimEnd()
}
