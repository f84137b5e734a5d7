/** What an import has done so far: counts, and what was left out for which reason. Bound: one count per reason. */
import type { ImportAnswer } from '@breakwater/store'

type ImportKind = 'sessions' | 'retained' | 'wills'
type Answers = Record<ImportAnswer, number>

const none = (): Answers => ({ imported: 0, before: 0, existing: 0 })

/** What belongs to the sessions that were imported. */
export interface SessionParts {
  filters: number
  messages: number
  /** QoS 2 exchanges that go on: messages to and from the client. */
  released: number
  received: number
}

export interface ImportFacts extends Readonly<Record<ImportKind, Readonly<Answers>>> {
  readonly dryRun: boolean
  readonly seconds: number
  readonly parts: Readonly<SessionParts>
  readonly leftOut: readonly {
    readonly what: string
    readonly why: string
    readonly count: number
  }[]
}

export class ImportReport {
  readonly sessions: Answers = none()
  readonly retained: Answers = none()
  readonly wills: Answers = none()
  readonly parts: SessionParts = { filters: 0, messages: 0, released: 0, received: 0 }
  /** Messages that were read, for the progress. */
  read = 0
  readonly #dryRun: boolean
  readonly #startedAt: number = performance.now()
  readonly #leftOut = new Map<string, { what: string; why: string; count: number }>()

  constructor(dryRun: boolean) {
    this.#dryRun = dryRun
  }

  leaveOut(what: string, why: string, count = 1): void {
    if (count === 0) return
    const key = `${what}\n${why}`
    const entry = this.#leftOut.get(key)
    if (entry === undefined) this.#leftOut.set(key, { what, why, count })
    else entry.count += count
  }

  facts(): ImportFacts {
    const { sessions, retained, wills, parts } = this
    return {
      dryRun: this.#dryRun,
      seconds: Math.round((performance.now() - this.#startedAt) / 100) / 10,
      sessions,
      retained,
      wills,
      parts,
      leftOut: [...this.#leftOut.values()],
    }
  }

  lines(): readonly string[] {
    const { dryRun, seconds, parts, leftOut } = this.facts()
    const done = dryRun ? 'would be imported' : 'imported'
    const line = (kind: ImportKind): string => {
      const { imported, before, existing } = this[kind]
      return `${kind}: ${imported} ${done}, ${before} by an earlier run, ${existing} left as they are here`
    }
    const { filters, messages, released, received } = parts
    return [
      line('sessions'),
      `  with ${filters} filters, ${messages} queued messages, ${released + received} QoS 2 exchanges`,
      line('retained'),
      line('wills'),
      ...leftOut.map(({ what, why, count }) => `left out: ${count} × ${what}: ${why}`),
      `${dryRun ? 'nothing was written; ' : ''}${seconds} s`,
    ]
  }
}
