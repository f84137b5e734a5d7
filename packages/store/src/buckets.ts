/** What lies in one bucket, and work that goes to many buckets in one go. */
import { bucketOf, type Keys, type Redis } from '@breakwater/redis'
import type { Argument } from './scripts.ts'

/** The ids of each bucket. */
export function byBucket(clientIds: readonly string[]): ReadonlyMap<number, readonly string[]> {
  const buckets = new Map<number, string[]>()
  for (const clientId of clientIds) {
    const bucket = bucketOf(clientId)
    const ids = buckets.get(bucket)
    if (ids === undefined) buckets.set(bucket, [clientId])
    else ids.push(clientId)
  }
  return buckets
}

/** Owner and session of a client, as the scripts name them. */
export function sessionKeys(keys: Keys, clientId: string): readonly string[] {
  const bucket = bucketOf(clientId)
  return [
    keys.owners(bucket),
    keys.session(clientId),
    keys.queue(clientId),
    keys.release(clientId),
    keys.inbound(clientId),
    keys.filters(bucket),
    keys.sessions(bucket),
  ]
}

/**
 * The answers in order; strings are buffers.
 *
 * @throws {Error} the first that failed
 */
export async function pipelined(
  redis: Redis,
  commands: readonly (readonly [string, ...Argument[]] | readonly Argument[])[],
): Promise<readonly unknown[]> {
  if (commands.length === 0) return []
  // Each by itself, in one write: a pipeline of the client waits for no lost connection to come back.
  return await Promise.all(
    commands.map(([command, ...args]) => redis.callBuffer(String(command), ...args)),
  )
}
