/** Does to the cluster and to its clients what the plan says, and writes down when. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Device } from './device.ts'
import type { FaultKind, FaultStep } from './fault-plan.ts'
import { placeOf, scopeOf } from './fault-plan.ts'
import type { Recorder } from './history.ts'
import type { Link } from './link.ts'
import { NODE_NAMES } from './plan.ts'
import type { SoakCluster } from './soak-cluster.ts'

export interface FaultParts {
  readonly cluster: SoakCluster
  readonly recorder: Recorder
  readonly devices: ReadonlyMap<string, Device>
  readonly links: ReadonlyMap<string, Link>
}

interface Hit extends FaultParts {
  readonly step: FaultStep
  readonly device: Device
  readonly link: Link
}

type Injection = (hit: Hit) => Promise<void>

/** The longest time until a node without Redis is killed: it must have messages to lose. */
const STALLED_BEFORE_KILL_MS = 150
/** Redis counts as full at once. */
const NO_MEMORY = '1'
/** No process listens there. */
const NO_MASTER = ['127.0.0.1', '1'] as const

const INJECTIONS: Readonly<Record<FaultKind, Injection>> = {
  'kill-node': async ({ cluster, step }) => {
    await cluster.kill(step.node)
    await delay(step.durationMs)
    await cluster.restart(step.node)
  },
  'kill-stalled-node': async ({ cluster, step }) => {
    await cluster.started(step.node)
    cluster.proxy(step.node).stall()
    await delay(STALLED_BEFORE_KILL_MS)
    await cluster.kill(step.node)
    await cluster.proxy(step.node).restore()
    await delay(step.durationMs)
    await cluster.restart(step.node)
  },
  'stop-node': async ({ cluster, step }) => {
    cluster.signal(step.node, 'SIGSTOP')
    await delay(step.durationMs)
    cluster.signal(step.node, 'SIGCONT')
  },
  'redis-cut': async ({ cluster }) => {
    await cluster.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await cluster.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  },
  'node-redis-cut': async ({ cluster, step }) => cluster.proxy(step.node).cut(),
  'node-redis-away': async ({ cluster, step }) => away(cluster, [step.node], step.durationMs),
  'node-redis-stall': async ({ cluster, step }) => {
    cluster.proxy(step.node).stall()
    await delay(step.durationMs)
    await cluster.proxy(step.node).restore()
  },
  'redis-away': async ({ cluster, step }) => {
    await away(
      cluster,
      NODE_NAMES.map((_, index) => index),
      step.durationMs,
    )
  },
  'redis-pause': async ({ cluster, step }) => {
    await cluster.admin.call('CLIENT', 'PAUSE', step.durationMs, 'ALL')
    await delay(step.durationMs)
  },
  'redis-restart': async ({ cluster }) => cluster.restartRedis(),
  'redis-oom': async ({ cluster, step }) => {
    await cluster.admin.config('SET', 'maxmemory', NO_MEMORY)
    await delay(step.durationMs)
    await cluster.admin.config('SET', 'maxmemory', '0')
  },
  'redis-read-only': async ({ cluster, step }) => {
    await cluster.admin.replicaof(...NO_MASTER)
    await delay(step.durationMs)
    await cluster.admin.replicaof('NO', 'ONE')
  },
  'client-half-open': async ({ link, step }) => {
    link.halfOpen()
    await delay(step.durationMs)
    link.cutDeaf()
  },
  'client-replies-lost': async ({ link, step }) => {
    link.loseReplies()
    await delay(step.durationMs)
    link.cutDeaf()
  },
  'client-drop': async ({ device }) => device.drop(),
  'client-stall': async ({ device, step }) => {
    device.stall()
    await delay(step.durationMs)
    device.goOn()
  },
  'take-over': async ({ device, step }) => device.takeOver(step.durationMs > 250, step.durationMs),
  'fenced-take-over': async ({ cluster, device, step }) => {
    const { node } = device
    cluster.proxy(node).stall()
    const restored = delay(step.durationMs).then(() => cluster.proxy(node).restore())
    await Promise.all([restored, device.takeOver(true, step.durationMs * 2)])
  },
  'end-session': async ({ device }) => device.endSession(),
  resubscribe: async ({ device }) => device.resubscribe(),
}

async function away(cluster: SoakCluster, nodes: readonly number[], forMs: number): Promise<void> {
  await Promise.all(nodes.map((node) => cluster.proxy(node).refuse()))
  await delay(forMs)
  await Promise.all(nodes.map((node) => cluster.proxy(node).restore()))
}

/** Resolves when the last fault has ended; everything works then. */
export async function injectAll(steps: readonly FaultStep[], parts: FaultParts): Promise<void> {
  const start = performance.now()
  /** On a slow machine one takes longer than planned, and the next one of the same node waits for it. */
  const lastOf = new Map<string, Promise<void>>()
  for (const step of steps) {
    await delay(Math.max(0, step.atMs - (performance.now() - start)))
    const place = placeOf(step)
    const before = lastOf.get(place) ?? Promise.resolve()
    lastOf.set(
      place,
      before.then(() => inject(step, parts)),
    )
  }
  await Promise.all(lastOf.values())
}

async function inject(step: FaultStep, parts: FaultParts): Promise<void> {
  const device = parts.devices.get(step.client)
  const link = parts.links.get(step.client)
  if (device === undefined || link === undefined) throw new Error(`no client ${step.client}`)
  const target = targetOf(step)
  const note = (phase: 'begin' | 'end'): void =>
    parts.recorder.record({ kind: 'fault', fault: step.kind, target, phase })
  note('begin')
  await INJECTIONS[step.kind]({ ...parts, step, device, link })
  note('end')
}

function targetOf({ kind, node, client }: FaultStep): string {
  const scope = scopeOf(kind)
  return scope === 'node' ? (NODE_NAMES[node] ?? '?') : scope === 'redis' ? 'redis' : client
}
