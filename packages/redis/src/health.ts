import type { Redis } from 'ioredis'

/** Server settings that a broker cannot live with, and what Breakwater needs instead. */
export interface RedisFacts {
  readonly version: string
  readonly maxmemoryPolicy: string
  readonly connectedSlaves: number
}

export const REDIS_MAJOR_MIN = 7

/** @throws {Error} when the server does not answer INFO */
export async function readFacts(redis: Redis): Promise<RedisFacts> {
  const info = await redis.info()
  const field = (name: string): string =>
    new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? ''
  return {
    version: field('redis_version'),
    maxmemoryPolicy: field('maxmemory_policy'),
    connectedSlaves: Number(field('connected_slaves')),
  }
}

/** One line that says why this Redis must not be used, or undefined. */
export function unfitReason(facts: RedisFacts): string | undefined {
  if (Number.parseInt(facts.version, 10) < REDIS_MAJOR_MIN)
    return `Redis ${facts.version} is too old: Breakwater needs ${REDIS_MAJOR_MIN}.0 or newer`
  if (facts.maxmemoryPolicy !== 'noeviction')
    return (
      `maxmemory-policy is ${facts.maxmemoryPolicy}: Redis would silently drop sessions and messages; ` +
      'set maxmemory-policy noeviction'
    )
  return undefined
}

/** Seconds that one PING takes. */
export async function pingSeconds(redis: Redis): Promise<number> {
  const start = performance.now()
  await redis.ping()
  return (performance.now() - start) / 1_000
}
