/** What one node writes into the log about itself. */
import { randomUUID } from 'node:crypto'
import {
  fieldsOf,
  mend,
  type Keys,
  type OnBadValue,
  type Redis,
  type Servers,
} from '@breakwater/redis'
import type { LogEntry } from './log-entry.ts'
import { JoinRefused } from './join-refused.ts'
import type { Forms, NodeEntry, NodeFacts } from './node-facts.ts'
import {
  CHANGE,
  evaluate,
  FORMAT,
  JOIN,
  LEAVE,
  logKeys,
  memberKeys,
  type ScriptPlace,
} from './scripts.ts'

/** One change as it travels. */
export interface Step {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly sessions: readonly string[]
  readonly filters: readonly string[]
  readonly topics: readonly string[]
}

/** Of one change: so much of an entry, which nobody reads in part. */
const STEP_BYTES_MAX = 262_144
const NO_CHANGE: Step = { added: [], removed: [], sessions: [], filters: [], topics: [] }

export function stepOf(change: Partial<Step>): Step {
  return { ...NO_CHANGE, ...change }
}

/** As part of an entry. */
export function bytesOf(step: Step): number {
  return textsOf(step).reduce((bytes, [, text]) => bytes + bytesOfText(text), 0)
}

/** The same change in steps of about so many bytes each; one text at least. */
export function stepsOf(change: Partial<Step>, bytesMax: number = STEP_BYTES_MAX): Step[] {
  const steps: Step[] = []
  let open: Record<keyof Step, string[]> | undefined
  let bytes = 0
  for (const [kind, text] of textsOf(stepOf(change))) {
    bytes += bytesOfText(text)
    if (open === undefined || bytes > bytesMax) {
      open = { added: [], removed: [], sessions: [], filters: [], topics: [] }
      steps.push(open)
      bytes = bytesOfText(text)
    }
    open[kind].push(text)
  }
  return steps
}

function textsOf(step: Step): [keyof Step, string][] {
  const kinds = ['added', 'removed', 'sessions', 'filters', 'topics'] as const
  return kinds.flatMap((kind) => step[kind].map((text): [keyof Step, string] => [kind, text]))
}

function bytesOfText(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) + 1
}

export interface MembershipOptions {
  /** Of few commands, at once. */
  readonly control: Servers
  /** Of changes, in order. */
  readonly writer: Redis
  readonly keys: Keys
  readonly nodeId: string
  readonly forms: Forms
  readonly facts: () => NodeFacts
  readonly leaseMs: number
  /** The log is cut off at its beginning above so many bytes. */
  readonly logBytesMax: number
  readonly onBadValue: OnBadValue
}

/** Of JOIN. */
type JoinAnswer =
  | readonly ['joined', generation: string, version: string, wasMember: number]
  | readonly ['format', stored: string]
  | readonly ['import', nothing: string]
  | readonly ['reads' | 'writes', node: string, form: string, version: number]

export interface Joined {
  /** Of the store: another one means that all was lost. */
  readonly generation: string
  readonly wasMember: boolean
}

export class Membership {
  readonly #options: MembershipOptions

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** As it is kept in the list of nodes. */
  facts(): string {
    const { forms, facts } = this.#options
    return JSON.stringify({ forms, ...facts() })
  }

  /** @throws {Error} Redis does not answer */
  async nodes(): Promise<readonly NodeEntry[]> {
    const { control, keys, onBadValue } = this.#options
    const { clusterNodes } = keys
    const found = fieldsOf(await control.call(clusterNodes, 'hgetall', clusterNodes))
    return found.flatMap(([id, text]) => {
      const facts = factsIn(text)
      if (facts !== undefined) return [{ id, ...facts }]
      onBadValue({ kind: 'nodes', key: clusterNodes, why: 'what a node says of itself is none' })
      return []
    })
  }

  /** Whether Redis counts this node among the living. @throws {Error} it does not answer */
  async isMember(): Promise<boolean> {
    const { control, keys, nodeId } = this.#options
    const { clusterNodes } = keys
    return (await control.call(clusterNodes, 'hexists', clusterNodes, nodeId)) === 1
  }

  /** Of the cluster's keys, those of this node, and these. Whether something was wrong. Never rejects. */
  async mend(more: readonly string[]): Promise<boolean> {
    const { keys, nodeId, onBadValue } = this.#options
    const { redis } = this.#place
    const { clusterLogUsage, clusterRevocations, clusterTickets } = keys
    const all = [
      ...memberKeys(keys),
      clusterLogUsage,
      clusterRevocations,
      clusterTickets,
      keys.clusterRoutes(nodeId),
      ...more,
    ]
    // What has no right to it, or no connection, is told by what it does next.
    return redis === undefined ? false : await mend(redis, all, onBadValue).catch(() => false)
  }

  get #place(): ScriptPlace {
    const { control, keys, onBadValue } = this.#options
    return { redis: control.of(keys.clusterLog), onBadValue }
  }

  /** @throws {JoinRefused} this node must not join, now or ever */
  async join(): Promise<Joined> {
    const { nodeId, leaseMs, logBytesMax, keys } = this.#options
    const entry: LogEntry = { kind: 'joined', node: nodeId }
    const answer = (await evaluate(
      this.#place,
      JOIN,
      memberKeys(keys),
      nodeId,
      this.facts(),
      leaseMs,
      randomUUID(),
      JSON.stringify(entry),
      logBytesMax,
      FORMAT,
    )) as JoinAnswer
    switch (answer[0]) {
      case 'format':
        throw JoinRefused.format(answer[1])
      case 'import':
        throw JoinRefused.import()
      case 'reads':
      case 'writes': {
        const [why, node, form, version] = answer
        throw JoinRefused[why](node, form, version)
      }
      case 'joined':
      default:
        return { generation: answer[1], wasMember: answer[3] === 1 }
    }
  }

  /** `adoptAfterMs`: when others may adopt the clients that it leaves behind. */
  async leave(adoptAfterMs: number | undefined): Promise<void> {
    const { nodeId, keys } = this.#options
    const entry: LogEntry = { kind: 'left', node: nodeId }
    const left = [...logKeys(keys), keys.clusterLeases, keys.clusterRoutes(nodeId)]
    left.push(keys.clusterDeparted)
    const facts = [nodeId, JSON.stringify(entry), adoptAfterMs ?? '']
    await evaluate(this.#place, LEAVE, left, ...facts).catch(() => undefined)
  }

  /** Says filters that it may have said before. @throws {Error} Redis did not take all of them */
  async announce(filters: readonly string[]): Promise<void> {
    for (const step of stepsOf({ added: filters })) await this.change([step])
  }

  /** Returns the version; 0 if this node is no member. @throws {Error} Redis did not take it */
  async change(steps: readonly Step[]): Promise<number> {
    const { nodeId, keys, writer, onBadValue } = this.#options
    if (writer.status !== 'ready') throw new Error('no connection')
    // The last word on a filter counts.
    const routes = new Map<string, boolean>()
    for (const step of steps) {
      for (const filter of step.removed) routes.set(filter, false)
      for (const filter of step.added) routes.set(filter, true)
    }
    const added = [...routes].filter(([, wanted]) => wanted).map(([filter]) => filter)
    const removed = [...routes].filter(([, wanted]) => !wanted).map(([filter]) => filter)
    const once = (texts: readonly string[]): string[] => [...new Set(texts)]
    const entry: LogEntry = {
      kind: 'changed',
      node: nodeId,
      added,
      removed,
      sessions: once(steps.flatMap((step) => step.sessions)),
      filters: once(steps.flatMap((step) => step.filters)),
      topics: once(steps.flatMap((step) => step.topics)),
    }
    const changed = [...logKeys(keys), keys.clusterRoutes(nodeId)]
    const facts = [nodeId, JSON.stringify(entry), added.length, ...added, ...removed]
    return Number(await evaluate({ redis: writer, onBadValue }, CHANGE, changed, ...facts))
  }
}

/** Undefined: no facts. */
function factsIn(text: string): NodeFacts | undefined {
  try {
    const value = JSON.parse(text) as Partial<NodeFacts> | null
    const { version = '', sinceMs = 0, connections = 0 } = value ?? {}
    const isSound = typeof version === 'string' && Number.isSafeInteger(sinceMs)
    // A date has so many ms at most.
    if (value === null || !isSound || Math.abs(sinceMs) > 8.64e15 || !Number.isFinite(connections))
      return undefined
    return { version, sinceMs, connections }
  } catch {
    return undefined
  }
}
