/** What lies in one bucket, and work that goes to many buckets in one go. */
import { bucketOf, type Keys, type Servers } from '@breakwater/redis'
import type { Argument } from '../scripts/scripts.ts'

/** The client ids, or the topics, of each bucket. */
export function byBucket(
  texts: readonly string[],
  buckets?: number,
): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, string[]>()
  for (const text of texts) {
    const bucket = bucketOf(text, buckets)
    const others = found.get(bucket)
    if (others === undefined) found.set(bucket, [text])
    else others.push(text)
  }
  return found
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
    keys.filters(clientId),
    keys.sessions(bucket),
  ]
}

/**
 * The answers in order; strings are buffers. Each command begins with its name and its key.
 *
 * @throws {Error} the first that failed
 */
export async function pipelined(
  servers: Servers,
  commands: readonly (readonly [command: string, key: string, ...Argument[]])[],
): Promise<readonly unknown[]> {
  if (commands.length === 0) return []
  // Each by itself, in one write: a pipeline of the client waits for no lost connection to come back.
  return await Promise.all(
    commands.map(([command, key, ...args]) => servers.call(key, command, key, ...args)),
  )
}
