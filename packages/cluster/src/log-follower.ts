/**
 * Reads the log, and keeps what a node knows of the others equal to it.
 *
 * In: the log; where entries are missing, everything from where their result is kept. Out: changes, to the handler,
 * in the order of the log; how far this node knows, to the view. Bounds: what one XREAD and one SSCAN bring.
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  isBadValue,
  isRelocation,
  replyError,
  type Keys,
  type OnBadValue,
  type Redis,
} from '@breakwater/redis'
import type { Barrier } from './barrier.ts'
import type { ClusterHandler, Departure } from './cluster.ts'
import { LogBatch } from './log-batch.ts'
import { readEntries, type LogEntry, type StreamAnswer, type VersionedEntry } from './log-entry.ts'
import type { View } from './view.ts'

export interface LogFollowerOptions {
  /** Of the follower alone: it blocks. */
  readonly redis: Redis
  readonly keys: Keys
  readonly nodeId: string
  readonly view: View
  readonly barrier: Barrier
  readonly onFault: (error: Error) => void
  readonly onBadValue: OnBadValue
  /** Mends what cannot be read of the cluster's keys, and of these. Never rejects. */
  readonly mend: (more?: readonly string[]) => Promise<void>
}

const READ_ENTRIES_MAX = 500
const BLOCK_MS = 1_000
const RETRY_MS = 100
const SCAN_COUNT = 5_000

export class LogFollower {
  readonly #options: LogFollowerOptions
  readonly #nodes = new Set<string>()
  #handler: ClusterHandler | undefined
  #stale = true
  #closed = false
  #running: Promise<void> = Promise.resolve()

  constructor(options: LogFollowerOptions) {
    this.#options = options
  }

  /** Those that live, without this one. */
  get nodes(): readonly string[] {
    return [...this.#nodes]
  }

  /** Resolves when everything is known. @throws {Error} Redis does not answer */
  async start(handler: ClusterHandler): Promise<void> {
    const { keys, mend } = this.#options
    this.#handler = handler
    await this.#load().catch(async (error: Error) => {
      if (!isBadValue(error)) throw error
      await mend(this.nodes.map((node) => keys.clusterRoutes(node)))
      await this.#load()
    })
    this.#running = this.#run()
  }

  /** What is known may be of another log: everything is read anew. */
  reload(): void {
    this.#options.view.reset()
    this.#stale = true
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#closed = true
  }

  /** The connection has to be closed before: an answer may be waited for. */
  async stopped(): Promise<void> {
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { redis, keys, view, onFault, mend } = this.#options
    while (!this.#closed) {
      try {
        if (redis.status !== 'ready') throw new Error('no connection')
        if (this.#stale) await this.#load()
        const answer = (await redis.xread(
          'COUNT',
          READ_ENTRIES_MAX,
          'BLOCK',
          BLOCK_MS,
          'STREAMS',
          keys.clusterLog,
          `0-${view.applied}`,
        )) as StreamAnswer | null
        const entries = answer?.[0]?.[1]
        // What came while everything is to be read anew may be of another log.
        if (entries !== undefined && !this.#stale) await this.#apply(readEntries(entries))
      } catch (error) {
        if (this.#closed) return
        if (isBadValue(error as Error))
          await mend(this.nodes.map((node) => keys.clusterRoutes(node)))
        if (redis.status === 'ready' && !isRelocation(error as Error)) onFault(error as Error)
        await delay(RETRY_MS)
      }
    }
  }

  async #apply(entries: readonly VersionedEntry[]): Promise<void> {
    const { keys, view, nodeId, onBadValue, mend } = this.#options
    const batch = new LogBatch()
    let version = view.applied
    for (const { version: next, entry } of entries) {
      if (Number.isNaN(next)) {
        await mend()
        this.#stale = true
        return
      }
      if (next !== version + 1) {
        // Cut off at its beginning, or another log: what is missing is read where it is kept.
        this.#stale = true
        return
      }
      version = next
      if (entry === undefined) {
        // What it may have said is read where it is kept, too.
        onBadValue({ kind: 'log', key: keys.clusterLog, why: `entry 0-${next} cannot be read` })
        this.#stale = true
        continue
      }
      this.#learn(entry)
      batch.take(version, entry)
    }
    await batch.tell(this.#handler)
    if (this.#stale) return
    view.appliedTo(version)
    for (const [node, awaited] of batch.awaited)
      if (node !== nodeId) this.#handler?.confirm(node, awaited)
  }

  #learn(entry: LogEntry): void {
    if (entry.node === this.#options.nodeId) return
    if (entry.kind === 'changed') this.#handler?.routes(entry.node, entry.added, entry.removed)
    else if (entry.kind === 'joined') this.#nodes.add(entry.node)
    else if (entry.kind === 'left') this.#forget(entry.node, entry.died === true ? 'died' : 'left')
  }

  #forget(node: string, how: Departure): void {
    const { barrier } = this.#options
    if (how === 'told-again') barrier.distrust(node)
    else {
      this.#nodes.delete(node)
      barrier.left(node)
    }
    this.#handler?.left(node, how)
  }

  /** Everything that the log says, from where its result is kept; what happens meanwhile is in the log. */
  async #load(): Promise<void> {
    const { redis, keys, nodeId, view } = this.#options
    const handler = this.#handler as ClusterHandler
    view.reset()
    const head = Number((await redis.get(keys.clusterHead)) ?? 0)
    if (!Number.isSafeInteger(head)) throw replyError('ERR the head of the log is no number')
    const nodes = await redis.hkeys(keys.clusterNodes)
    // Of one that is missed nobody knows how it went.
    for (const node of this.nodes) this.#forget(node, nodes.includes(node) ? 'told-again' : 'died')
    for (const node of nodes) {
      if (node === nodeId) continue
      this.#nodes.add(node)
      let cursor = '0'
      do {
        const [next, filters] = await redis.sscan(
          keys.clusterRoutes(node),
          cursor,
          'COUNT',
          SCAN_COUNT,
        )
        cursor = next
        handler.routes(node, filters, [])
      } while (cursor !== '0')
    }
    await handler.load()
    this.#stale = false
    view.appliedTo(head)
    for (const node of this.#nodes) handler.confirm(node, head)
  }
}
