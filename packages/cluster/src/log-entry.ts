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
      /** Topics whose retained message has come or gone; older nodes leave it out. */
      readonly topics?: readonly string[]
    }

export interface VersionedEntry {
  readonly version: number
  readonly entry: LogEntry
}

/** What `XRANGE` answers: `[id, [field, value]]`. */
type Entries = readonly (readonly [string, readonly string[]])[]

/** What `XREAD` answers: those of each stream. */
export type StreamAnswer = readonly (readonly [string, Entries])[]

export function readEntries(answer: Entries): VersionedEntry[] {
  return answer.map(([id, fields]) => ({
    version: Number(id.slice(id.indexOf('-') + 1)),
    entry: JSON.parse(fields[1] ?? '{}') as LogEntry,
  }))
}
