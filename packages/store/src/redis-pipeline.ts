/** How both writers send: each command for itself, all of them in one write. */
import type { Redis } from '@breakwater/redis'
import { loadWrites } from './write-scripts.ts'

export type Result = readonly [error: Error | null, result?: unknown]

/** A server that misses its scripts is given them. */
export async function sendAll(
  redis: Redis,
  commands: readonly (readonly [string, ...(string | number | Buffer)[]])[],
): Promise<readonly Result[]> {
  if (redis.status !== 'ready') throw new Error('no connection')
  const pipeline = redis.pipeline()
  for (const words of commands) pipeline.callBuffer(...words)
  const results = (await pipeline.exec()) ?? []
  // What fails here fails again where a script is missed.
  if (results.some(([error]) => error?.message.startsWith('NOSCRIPT') === true))
    await loadWrites(redis).catch(() => undefined)
  return results
}
