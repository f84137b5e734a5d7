import type { Redis } from 'ioredis'

/** What a server says of its settings. */
export interface RedisFacts {
  readonly version: string
  readonly maxmemoryPolicy: string
  readonly connectedSlaves: number
  /** `standalone`, `sentinel` or `cluster`. */
  readonly mode: string
  readonly isReplica: boolean
  /** Whether it writes an append-only file. */
  readonly appendOnly: boolean
}

/** What a node asks of its servers. */
export interface RedisNeeds {
  /** The address is one of a Redis Cluster. */
  readonly clustered: boolean
  /** Acknowledgements wait until the disk has it. */
  readonly disk?: boolean
  /** Acknowledgements wait for so many replicas. */
  readonly replicas?: number
}

export const REDIS_SETTINGS = [
  'version',
  'mode',
  'maxmemory-policy',
  'appendonly',
  'replicas',
] as const
export type RedisSetting = (typeof REDIS_SETTINGS)[number]

export const REDIS_MAJOR_MIN = 7

/** A round trip that takes longer than this is none. */
const PING_TIMEOUT_MS = 5_000

/** Redis, as it is configured, must not be used: no waiting mends that. */
export class UnfitRedis extends Error {
  override readonly name = 'UnfitRedis'
}

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
    isReplica: field('role') === 'slave',
    appendOnly: field('aof_enabled') === '1',
  }
}

/** For each setting one line that says what to change, or undefined where it is good. */
export function lacksOf(
  facts: RedisFacts,
  { clustered, disk = false, replicas = 0 }: RedisNeeds,
): Readonly<Record<RedisSetting, string | undefined>> {
  return {
    version: versionLack(facts),
    mode:
      facts.mode === 'cluster' && !clustered
        ? 'it is a node of a Redis Cluster: use redis-cluster://'
        : undefined,
    'maxmemory-policy':
      facts.maxmemoryPolicy === 'noeviction'
        ? undefined
        : `maxmemory-policy is ${facts.maxmemoryPolicy}: Redis would silently drop sessions and messages; ` +
          'set maxmemory-policy noeviction',
    appendonly:
      disk && !facts.appendOnly
        ? 'appendonly is no, and BREAKWATER_ACK=fsynced waits for the append-only file: set appendonly yes'
        : undefined,
    replicas:
      facts.connectedSlaves < replicas
        ? `${facts.connectedSlaves} replicas are connected, and BREAKWATER_ACK=replicated:${replicas} waits for ${replicas}: bring them back`
        : undefined,
  }
}

function versionLack({ version, maxmemoryPolicy }: RedisFacts): string | undefined {
  const major = Number.parseInt(version, 10)
  if (Number.isNaN(major) || maxmemoryPolicy === '')
    return 'INFO says neither version nor maxmemory-policy: is it Redis, and may this user read INFO?'
  return major < REDIS_MAJOR_MIN
    ? `Redis ${version} is too old: Breakwater needs ${REDIS_MAJOR_MIN}.0 or newer`
    : undefined
}

/** One line that says why this Redis must not be used, or undefined. `clustered`: as the address says. */
export function unfitReason(facts: RedisFacts, clustered: boolean): string | undefined {
  const lacks = lacksOf(facts, { clustered })
  return lacks.version ?? lacks.mode ?? lacks['maxmemory-policy']
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
