/**
 * Faults and when they come. Steps that touch the same node, or Redis, do not overlap; all others may, so that
 * a node dies while Redis is slow for another and a client moves.
 */
import type { Random } from './random.ts'

export const FAULTS = {
  'kill-node': 'kill -9, then a new process',
  'kill-stalled-node': 'the node hears nothing from Redis, then kill -9, then a new process',
  'stop-node': 'SIGSTOP, then SIGCONT',
  'redis-cut': 'CLIENT KILL of every connection to Redis',
  'node-redis-cut': 'the connections of one node to Redis end, and come back at once',
  'node-redis-away': 'one node cannot reach Redis',
  'node-redis-stall': 'one node gets no answer from Redis',
  'redis-away': 'no node can reach Redis',
  'redis-pause': 'Redis answers nobody for a while',
  'redis-restart': 'Redis starts again from its append-only file',
  'redis-oom': 'Redis has no memory for writes',
  'redis-read-only': 'Redis takes no writes',
  'client-half-open': 'a client and its node believe in a connection that passes nothing',
  'client-replies-lost': 'what a node says to a client gets lost',
  'client-drop': 'a client loses its connection',
  'client-stall': 'a client reads nothing',
  'take-over': 'a client connects at another node while its old connection lives on',
  'fenced-take-over': 'the same, and the old node does not hear of it',
  'end-session': 'a client ends its session and begins a new one',
  resubscribe: 'a client unsubscribes and subscribes again',
} as const

export type FaultKind = keyof typeof FAULTS

export interface FaultStep {
  readonly atMs: number
  readonly kind: FaultKind
  /** Index of a node, for faults of one node. */
  readonly node: number
  /** Client id, for faults of one client. */
  readonly client: string
  readonly durationMs: number
}

/** What the nodes of a round run with: short, so that faults longer than a lease fit in. */
export const LEASE_MS = 1_500
export const STORE_TIMEOUT_MS = 4_000

type Scope = 'node' | 'redis' | 'client'

interface FaultDraw {
  readonly kind: FaultKind
  readonly scope: Scope
  readonly weight: number
  readonly minMs: number
  readonly maxMs: number
}

const SHORT_MS = LEASE_MS * 0.6
const LONG_MS = LEASE_MS * 2

const DRAWS: readonly FaultDraw[] = [
  { kind: 'kill-node', scope: 'node', weight: 5, minMs: 100, maxMs: LONG_MS },
  { kind: 'kill-stalled-node', scope: 'node', weight: 3, minMs: 100, maxMs: 600 },
  { kind: 'stop-node', scope: 'node', weight: 3, minMs: 200, maxMs: LONG_MS },
  { kind: 'redis-cut', scope: 'redis', weight: 4, minMs: 0, maxMs: 0 },
  { kind: 'node-redis-cut', scope: 'node', weight: 4, minMs: 0, maxMs: 0 },
  { kind: 'node-redis-away', scope: 'node', weight: 3, minMs: 100, maxMs: SHORT_MS },
  { kind: 'node-redis-away', scope: 'node', weight: 2, minMs: LEASE_MS, maxMs: LONG_MS },
  { kind: 'node-redis-stall', scope: 'node', weight: 3, minMs: 100, maxMs: LONG_MS },
  { kind: 'redis-away', scope: 'redis', weight: 2, minMs: 100, maxMs: LONG_MS },
  { kind: 'redis-pause', scope: 'redis', weight: 2, minMs: 100, maxMs: LONG_MS },
  { kind: 'redis-restart', scope: 'redis', weight: 2, minMs: 0, maxMs: 0 },
  { kind: 'redis-oom', scope: 'redis', weight: 2, minMs: 200, maxMs: LEASE_MS },
  { kind: 'redis-read-only', scope: 'redis', weight: 2, minMs: 200, maxMs: LEASE_MS },
  { kind: 'client-half-open', scope: 'client', weight: 4, minMs: 200, maxMs: 3_000 },
  { kind: 'client-replies-lost', scope: 'client', weight: 5, minMs: 50, maxMs: 1_000 },
  { kind: 'client-drop', scope: 'client', weight: 8, minMs: 0, maxMs: 0 },
  { kind: 'client-stall', scope: 'client', weight: 4, minMs: 500, maxMs: 3_000 },
  { kind: 'take-over', scope: 'client', weight: 6, minMs: 0, maxMs: 500 },
  { kind: 'fenced-take-over', scope: 'client', weight: 4, minMs: 300, maxMs: SHORT_MS },
  { kind: 'end-session', scope: 'client', weight: 2, minMs: 0, maxMs: 0 },
  { kind: 'resubscribe', scope: 'client', weight: 2, minMs: 0, maxMs: 0 },
]

const GAP_MIN_MS = 60
const GAP_MAX_MS = 600
/** Before the first fault, and between two of the same node. */
const REST_MS = 700
/** What a node needs to be there again, at least. */
const RESTART_MS = 1_500

export interface FaultTargets {
  readonly faultsMs: number
  readonly nodes: number
  readonly clients: readonly string[]
  readonly persistent: readonly string[]
  readonly subscribers: readonly string[]
  readonly kinds?: readonly FaultKind[]
}

export function drawFaults(random: Random, targets: FaultTargets): FaultStep[] {
  const draws = DRAWS.filter(({ kind }) => targets.kinds?.includes(kind) ?? true)
  const total = draws.reduce((sum, { weight }) => sum + weight, 0)
  const freeAt = new Map<string, number>()
  const steps: FaultStep[] = []
  for (let atMs = REST_MS; ; atMs += random.between(GAP_MIN_MS, GAP_MAX_MS)) {
    if (atMs >= targets.faultsMs) return steps
    const step = stepOf(random, pickWeighted(random, draws, total), Math.round(atMs), targets)
    const place = placeOf(step)
    if ((freeAt.get(place) ?? 0) > atMs) continue
    const isKill = step.kind === 'kill-node' || step.kind === 'kill-stalled-node'
    freeAt.set(place, atMs + step.durationMs + REST_MS + (isKill ? RESTART_MS : 0))
    steps.push(step)
  }
}

function pickWeighted(random: Random, draws: readonly FaultDraw[], total: number): FaultDraw {
  let left = random.between(0, total)
  for (const draw of draws) {
    left -= draw.weight
    if (left < 0) return draw
  }
  return draws.at(-1) as FaultDraw
}

function stepOf(random: Random, draw: FaultDraw, atMs: number, targets: FaultTargets): FaultStep {
  const { kind, minMs, maxMs } = draw
  return {
    atMs,
    kind,
    node: random.integer(0, targets.nodes - 1),
    client: random.pick(clientsFor(kind, targets)),
    durationMs: Math.round(random.between(minMs, maxMs)),
  }
}

function clientsFor(kind: FaultKind, targets: FaultTargets): readonly string[] {
  const { clients, persistent, subscribers } = targets
  if (kind === 'client-stall' || kind === 'resubscribe') return subscribers
  return kind === 'end-session' || kind === 'fenced-take-over'
    ? persistent.filter((id) => subscribers.includes(id))
    : clients
}

export function scopeOf(kind: FaultKind): Scope {
  return DRAWS.find((draw) => draw.kind === kind)?.scope ?? 'client'
}

/** Where steps do not overlap. */
export function placeOf({ kind, node, client }: FaultStep): string {
  const scope = scopeOf(kind)
  return scope === 'node' ? `node ${node}` : scope === 'redis' ? scope : client
}

/** One line of a printed schedule. */
export function describeStep(step: FaultStep, nodeNames: readonly string[]): string {
  const scope = scopeOf(step.kind)
  const target =
    scope === 'node' ? (nodeNames[step.node] ?? '?') : scope === 'client' ? step.client : 'redis'
  const seconds = (step.atMs / 1_000).toFixed(2).padStart(7)
  const duration = step.durationMs === 0 ? '' : ` ${step.durationMs} ms`
  return `${seconds} s  ${step.kind.padEnd(20)} ${target}${duration}`
}
