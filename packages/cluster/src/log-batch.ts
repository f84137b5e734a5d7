/** What some entries of the log say together: each text once, in one question to the store. */
import type { ClusterHandler } from './cluster.ts'
import { byClient, type LogEntry } from './log-entry.ts'

export class LogBatch {
  /** Nodes that wait until the others know a change of theirs, with its version. */
  readonly awaited: Map<string, number> = new Map()
  readonly #sessions = new Set<string>()
  readonly #filters = new Set<string>()
  readonly #topics = new Set<string>()

  take(version: number, entry: LogEntry): void {
    if (entry.kind !== 'changed') return
    const { node, added, sessions, filters = [], topics = [] } = entry
    for (const clientId of sessions) this.#sessions.add(clientId)
    for (const text of filters) this.#filters.add(text)
    for (const topic of topics) this.#topics.add(topic)
    // Nobody waits until the others know a topic.
    if (added.length + sessions.length + filters.length > 0) this.awaited.set(node, version)
  }

  /** Resolves when everything has been asked for. */
  async tell(handler: ClusterHandler | undefined): Promise<void> {
    if (this.#sessions.size > 0) await handler?.sessionsChanged([...this.#sessions])
    if (this.#filters.size > 0) await handler?.filtersChanged(byClient(this.#filters))
    if (this.#topics.size > 0) await handler?.topicsChanged([...this.#topics])
  }
}
