/** Two nodes on a Redis of their own, and the CPU that each of the three has used. */
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import type { WireAddress } from '../kit/wire-client.ts'
import { startRedis, type TestRedis } from '../kit/redis.ts'

/** USER_HZ: what Linux counts in, everywhere that Node runs. */
const TICK_US = 10_000

export interface CpuUs {
  readonly a: number
  readonly b: number
  readonly redis: number
}

/** Two nodes that share their clients, of whatever make. */
export interface Rig extends AsyncDisposable {
  readonly a: WireAddress
  readonly b: WireAddress
  cpu(): Promise<CpuUs>
}

export async function startRig(): Promise<Rig> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: ['--save', ''] }))
  const redisUs = redisCpuOf(redis, stack)
  const a = stack.use(await startQuietNode(redis))
  const b = stack.use(await startQuietNode(redis))
  const all = stack.move()
  return {
    a,
    b,
    cpu: async () => ({
      a: processCpuUs(a.process.pid),
      b: processCpuUs(b.process.pid),
      redis: await redisUs(),
    }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** As in production: a line per connection is not part of what is measured. */
export function startQuietNode({ url, prefix }: TestRedis): Promise<NodeProcess> {
  return spawnNode({
    redisUrl: url,
    redisPrefix: prefix,
    listen: ['mqtt://127.0.0.1:0'],
    environment: { BREAKWATER_LOG_LEVEL: 'info' },
  })
}

export interface Cost extends CpuUs {
  readonly sum: number
}

/** What was used since `before`, for each of `count`. */
export function cpuEach(before: CpuUs, after: CpuUs, count: number): Cost {
  const a = (after.a - before.a) / count
  const b = (after.b - before.b) / count
  const redis = (after.redis - before.redis) / count
  return { a, b, redis, sum: a + b + redis }
}

export function print(name: string, text: string): void {
  process.stdout.write(`${name}: ${text}\n`)
}

export function processCpuUs(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The program's name may hold spaces; the fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

/** How much CPU a server has used so far, asked over a connection that goes with the stack. */
export function redisCpuOf({ url }: TestRedis, stack: AsyncDisposableStack): () => Promise<number> {
  const info = new Redis(url)
  stack.defer(() => info.disconnect())
  return async () => redisCpuUs(await info.info('cpu'))
}

function redisCpuUs(info: string): number {
  const seconds = (name: string): number =>
    Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}
