/** Some nodes on one Redis, each a process, and what each of them has used and done so far. */
import { Redis } from 'ioredis'
import { processCpuUs, redisCpuOf } from '../bench/backplane/backplane-rig.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'

export interface Used {
  /** µs of CPU, by node. */
  readonly nodesUs: readonly number[]
  readonly redisUs: number
  /** Frames with messages that each node has sent to others. */
  readonly frames: readonly number[]
  /** Writes to client sockets of each node. */
  readonly writes: readonly number[]
}

export interface SimulationRig extends AsyncDisposable {
  readonly nodes: readonly NodeProcess[]
  readonly redisVersion: string
  used(): Promise<Used>
}

export async function startNodes(count: number): Promise<SimulationRig> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: ['--save', ''] }))
  const redisUs = redisCpuOf(redis, stack)
  const nodes: NodeProcess[] = []
  for (let index = 0; index < count; index += 1)
    nodes.push(
      stack.use(
        await spawnNode({
          redisUrl: redis.url,
          redisPrefix: redis.prefix,
          environment: { BREAKWATER_LOG_LEVEL: 'info' },
        }),
      ),
    )
  const redisVersion = await versionOf(redis.url)
  const resources = stack.move()
  return {
    nodes,
    redisVersion,
    used: async () => {
      const pages = await Promise.all(nodes.map((node) => MetricsPage.of(node)))
      return {
        frames: pages.map((page) =>
          page.value('breakwater_bus_frames_total', { direction: 'out' }),
        ),
        writes: pages.map((page) => page.value('breakwater_writes_total')),
        nodesUs: nodes.map(({ process: { pid } }) => processCpuUs(pid)),
        redisUs: await redisUs(),
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** What was used between two looks. */
export function between(before: Used, after: Used): Used {
  const less = (later: readonly number[], earlier: readonly number[]): number[] =>
    later.map((value, index) => value - (earlier[index] ?? 0))
  return {
    nodesUs: less(after.nodesUs, before.nodesUs),
    frames: less(after.frames, before.frames),
    writes: less(after.writes, before.writes),
    redisUs: after.redisUs - before.redisUs,
  }
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

async function versionOf(url: string): Promise<string> {
  const redis = new Redis(url)
  const info = await redis.info('server')
  redis.disconnect()
  return /^redis_version:(.+)$/m.exec(info)?.[1]?.trim() ?? 'unknown'
}
