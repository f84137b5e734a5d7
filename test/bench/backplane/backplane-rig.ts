/** Two nodes on a Redis of their own, and the CPU that each of the three has used. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { spawnNode, type NodeProcess } from '../../kit/node.ts'
import type { WireAddress } from '../../kit/wire-client.ts'
import { startRedis, type TestRedis } from '../../kit/redis/redis.ts'

/** USER_HZ: what Linux counts in, everywhere that Node runs. */
const TICK_US = 10_000
const QUIET_WINDOW_MS = 500
const QUIET_WINDOWS = 3
const QUIET_WINDOWS_MAX = 120
/** Of Redis in one window: beats and blocking reads of two idle nodes take less, on most machines. */
const QUIET_US_MAX = 15_000

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

/** Two of our nodes. */
export interface OwnRig extends Rig {
  /**
   * Resolves when Redis does nothing more than it does without clients.
   *
   * @throws {Error} it does not come to rest within QUIET_WINDOWS_MAX
   */
  quiet(): Promise<void>
}

export async function startRig(): Promise<OwnRig> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: ['--save', ''] }))
  const redisUs = redisCpuOf(redis, stack)
  const a = stack.use(await startQuietNode(redis))
  const b = stack.use(await startQuietNode(redis))
  const started = await redisUs()
  await delay(QUIET_WINDOW_MS)
  // A slow machine takes longer for the same beats.
  const quietUsMax = Math.max(QUIET_US_MAX, 1.5 * ((await redisUs()) - started))
  const all = stack.move()
  return {
    a,
    b,
    cpu: async () => ({
      a: processCpuUs(a.process.pid),
      b: processCpuUs(b.process.pid),
      redis: await redisUs(),
    }),
    quiet: async () => {
      let before = await redisUs()
      for (let windows = 0, quiet = 0; quiet < QUIET_WINDOWS; windows++) {
        await delay(QUIET_WINDOW_MS)
        const now = await redisUs()
        quiet = now - before <= quietUsMax ? quiet + 1 : 0
        before = now
        if (windows >= QUIET_WINDOWS_MAX) throw new Error('Redis does not come to rest')
      }
    },
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
