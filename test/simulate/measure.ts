/** Measures the unit costs on this machine: each as the median of some rounds, without what an idle node takes. */
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { lineThrough, median, shareOf } from './fit.ts'
import { runLoad, type LoadResult } from './load.ts'
import { measureConnect, measurePing, measureSubscribe } from './measure-clients.ts'
import { routeBytes, sessionBytes } from './memory.ts'
import { between, startNodes, sum, type SimulationRig } from './rig.ts'
import type { PathCosts, PerNode, Share, UnitCosts } from './unit-costs.ts'

const ROUNDS = 3
const IDLE_SECONDS = 8
const LOAD_SECONDS = 4
/** One by one, at two rates, and many at once: what a node is planned for, not what it does at night. */
const LOADS = [
  { messagesPerSecond: 1_500, burst: 1 },
  { messagesPerSecond: 5_000, burst: 1 },
  { messagesPerSecond: 4_800, burst: 32 },
] as const
/** Idle costs and those of a SUBSCRIBE are measured at both, and at those in between are a straight line. */
const FEW = 2
const MANY = 5
/** Less cannot be told from noise. */
const NOTHING_US = 0.01

interface Idle {
  readonly nodeUsPerSecond: number
  readonly redisUsPerSecond: number
}

export async function measureCosts(say: (what: string) => void): Promise<UnitCosts> {
  say(`memory`)
  const memory = { sessionBytes: sessionBytes(), routeBytes: routeBytes() }
  say('connections')
  const connect = await measureConnections()
  say(`${MANY} nodes`)
  const many = await measureMany()
  await using rig = await startNodes(FEW)
  say(`${FEW} nodes, idle`)
  const idle = await measureIdle(rig)
  const line = (pick: (idle: Idle) => number): PerNode => perNode(pick(idle), pick(many.idle))
  const subscribe = await measureSubscribe(rig)
  say('clients')
  const ping = await measurePing(rig, idle.nodeUsPerSecond)
  say('QoS 0')
  const qos0 = await measurePath(rig, 0, idle)
  say('QoS 1')
  const qos1 = await measurePath(rig, 1, idle)
  const [cpu] = cpus()
  return {
    machine: {
      cpu: cpu === undefined ? 'unknown' : cpu.model.trim(),
      cores: cpus().length,
      node: process.version,
      redis: rig.redisVersion,
      date: new Date().toISOString().slice(0, 10),
    },
    qos0,
    qos1,
    idleNode: line(({ nodeUsPerSecond }) => nodeUsPerSecond),
    idleRedis: line(({ redisUsPerSecond }) => redisUsPerSecond),
    subscribeNodes: perNode(subscribe.nodesUs, many.subscribe.nodesUs),
    subscribeRedis: perNode(subscribe.redisUs, many.subscribe.redisUs),
    pingUs: ping,
    ...connect,
    ...memory,
  }
}

/** A node that has done nothing else: what others have needed and left is room for these. */
async function measureConnections(): Promise<{ connectUs: number; connectionBytes: number }> {
  await using rig = await startNodes(1)
  return await measureConnect(rig)
}

async function measureMany(): Promise<{
  idle: Idle
  subscribe: { nodesUs: number; redisUs: number }
}> {
  await using rig = await startNodes(MANY)
  const idle = await measureIdle(rig)
  return { idle, subscribe: await measureSubscribe(rig) }
}

async function measureIdle(rig: SimulationRig): Promise<Idle> {
  const rounds: Idle[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = await rig.used()
    await delay(IDLE_SECONDS * 1_000)
    const used = between(before, await rig.used())
    const share = IDLE_SECONDS * rig.nodes.length
    rounds.push({
      nodeUsPerSecond: sum(used.nodesUs) / share,
      redisUsPerSecond: used.redisUs / share,
    })
  }
  return {
    nodeUsPerSecond: median(rounds.map(({ nodeUsPerSecond }) => nodeUsPerSecond)),
    redisUsPerSecond: median(rounds.map(({ redisUsPerSecond }) => redisUsPerSecond)),
  }
}

async function measurePath(rig: SimulationRig, qos: 0 | 1, idle: Idle): Promise<PathCosts> {
  const local = await observe(rig, qos, 0)
  const remote = await observe(rig, qos, 1)
  const share = (
    loads: readonly (readonly LoadResult[])[],
    turns: (result: LoadResult) => number,
    us: (result: LoadResult) => number,
  ): Share =>
    shareOf(
      loads.map((rounds) => ({
        us: Math.max(NOTHING_US, median(rounds.map((result) => us(result) / result.messages))),
        turns: median(rounds.map((result) => turns(result) / result.messages)),
      })),
    )
  const node = (index: number) => (result: LoadResult) =>
    (result.used.nodesUs[index] ?? 0) - idle.nodeUsPerSecond * result.seconds
  const redis = ({ used, seconds }: LoadResult): number =>
    used.redisUs - idle.redisUsPerSecond * rig.nodes.length * seconds
  // Of QoS 1 each publisher gets its PUBACK in a write of its own.
  const delivering = ({ used, messages }: LoadResult): number =>
    Math.max(1, (used.writes[0] ?? 0) - qos * messages)
  const frames = ({ used }: LoadResult): number => used.frames[0] ?? 0
  return {
    local: share(local, delivering, node(0)),
    sender: share(remote, frames, node(0)),
    receiver: share(remote, frames, node(1)),
    redisLocal: qos === 0 ? { messageUs: 0, turnUs: 0 } : share(local, delivering, redis),
    redisRemote: share(remote, frames, redis),
  }
}

/** The rounds of each load. */
async function observe(rig: SimulationRig, qos: 0 | 1, to: number): Promise<LoadResult[][]> {
  const plan = { qos, from: [0], to: [to], seconds: LOAD_SECONDS }
  const loads = LOADS.map((load) => ({ load, rounds: [] as LoadResult[] }))
  for (let round = 0; round < ROUNDS; round += 1)
    for (const { load, rounds } of loads) rounds.push(await runLoad(rig, { ...plan, ...load }))
  return loads.map(({ rounds }) => rounds)
}

function perNode(few: number, many: number): PerNode {
  const { at0, slope } = lineThrough([FEW, few], [MANY, many])
  // Less with more nodes is noise.
  return slope < 0 ? { ownUs: (few + many) / 2, perNodeUs: 0 } : { ownUs: at0, perNodeUs: slope }
}
