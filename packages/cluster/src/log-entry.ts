import type { ChangedFilters } from './cluster.ts'

/** An entry of the log, as JSON. One that a node does not know is skipped: later versions may add kinds. */
export type LogEntry =
  | { readonly kind: 'joined'; readonly node: string }
  /** `died`: others have said so; it may have stored what it never told. */
  | { readonly kind: 'left'; readonly node: string; readonly died?: boolean }
  | {
      readonly kind: 'changed'
      readonly node: string
      readonly added: readonly string[]
      readonly removed: readonly string[]
      readonly sessions: readonly string[]
      /** Filters of stored sessions that have come or gone, each with its client id (`inLog`). */
      readonly filters?: readonly string[]
      /** Topics whose retained message has come or gone; older nodes leave it out. */
      readonly topics?: readonly string[]
    }

export interface VersionedEntry {
  /** NaN: an id that is none of the log. */
  readonly version: number
  /** Undefined: it cannot be read, whatever it says. */
  readonly entry: LogEntry | undefined
}

/** What `XRANGE` answers: `[id, [field, value]]`. */
type Entries = readonly (readonly [string, readonly string[]])[]

/** What `XREAD` answers: those of each stream. */
export type StreamAnswer = readonly (readonly [string, Entries])[]

export function readEntries(answer: Entries): VersionedEntry[] {
  return answer.map(([id, fields]) => ({ version: versionOf(id), entry: entryOf(fields[1] ?? '') }))
}

function versionOf(id: string): number {
  const version = Number(/^0-(\d+)$/.exec(id)?.[1])
  return Number.isSafeInteger(version) ? version : NaN
}

function entryOf(text: string): LogEntry | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { kind, node, added, removed, sessions, filters = [], topics = [] } = value as Fields
  if (typeof kind !== 'string' || typeof node !== 'string') return undefined
  if (kind !== 'changed') return value as LogEntry
  const lists = [added, removed, sessions, filters, topics]
  if (!lists.every(isTexts) || !(filters as string[]).every((text) => text.includes('\0')))
    return undefined
  return value as LogEntry
}

type Fields = Readonly<Partial<Record<string, unknown>>>

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

/** A filter of a stored session as one text; NUL is in no text of MQTT. */
export function inLog(clientId: string, filter: string): string {
  return `${clientId}\0${filter}`
}

/** The same by client id. */
export function byClient(texts: Iterable<string>): ChangedFilters[] {
  const found = new Map<string, string[]>()
  for (const text of texts) {
    const end = text.indexOf('\0')
    const [clientId, filter] = [text.slice(0, end), text.slice(end + 1)]
    const filters = found.get(clientId)
    if (filters === undefined) found.set(clientId, [filter])
    else filters.push(filter)
  }
  return [...found].map(([clientId, filters]) => ({ clientId, filters }))
}
