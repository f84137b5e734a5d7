import type { Redis } from 'ioredis'

/** Server settings that a broker cannot live with, and what Breakwater needs instead. */
export interface RedisFacts {
  readonly version: string
  readonly maxmemoryPolicy: string
  readonly connectedSlaves: number
  /** `standalone`, `sentinel` or `cluster`. */
  readonly mode: string
}

export const REDIS_MAJOR_MIN = 7

/** A round trip that takes longer than this is none. */
const PING_TIMEOUT_MS = 5_000

/** @throws {Error} when the server does not answer INFO */
export async function readFacts(redis: Redis): Promise<RedisFacts> {
  const info = await redis.info()
  const field = (name: string): string =>
    new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
  return {
    version: field('redis_version'),
    maxmemoryPolicy: field('maxmemory_policy'),
    connectedSlaves: Number(field('connected_slaves')),
    // Valkey has a word of its own for it.
    mode: field('redis_mode') || field('server_mode'),
  }
}

/** One line that says why this Redis must not be used, or undefined. `clustered`: as the address says. */
export function unfitReason(facts: RedisFacts, clustered: boolean): string | undefined {
  const major = Number.parseInt(facts.version, 10)
  if (Number.isNaN(major) || facts.maxmemoryPolicy === '')
    return 'INFO says neither version nor maxmemory-policy: is it Redis, and may this user read INFO?'
  if (major < REDIS_MAJOR_MIN)
    return `Redis ${facts.version} is too old: Breakwater needs ${REDIS_MAJOR_MIN}.0 or newer`
  if (facts.mode === 'cluster' && !clustered)
    return 'it is a node of a Redis Cluster: use redis-cluster://'
  if (facts.maxmemoryPolicy !== 'noeviction')
    return (
      `maxmemory-policy is ${facts.maxmemoryPolicy}: Redis would silently drop sessions and messages; ` +
      'set maxmemory-policy noeviction'
    )
  return undefined
}

/**
 * Seconds that one PING takes.
 *
 * @throws {Error} no answer within the time-out: a server that hangs is not up
 */
export async function pingSeconds(
  redis: Redis,
  timeoutMs: number = PING_TIMEOUT_MS,
): Promise<number> {
  const start = performance.now()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    await Promise.race([redis.ping(), late])
  } finally {
    clearTimeout(timer)
  }
  return (performance.now() - start) / 1_000
}
