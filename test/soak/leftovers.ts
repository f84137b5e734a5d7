/** What is in Redis: every key, and of the hashes and sets that hold an entry per session, the entries too. */
import type { Redis } from 'ioredis'

export interface FoundKey {
  readonly key: string
  /** Of `filters` and `sessions`: the client ids; of others: nothing. */
  readonly entries: readonly string[]
}

export async function scanKeys(redis: Redis, prefix: string): Promise<FoundKey[]> {
  const found: FoundKey[] = []
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 }))
    for (const key of keys as string[]) found.push({ key, entries: await entriesOf(redis, key) })
  return found.sort((one, other) => (one.key < other.key ? -1 : 1))
}

async function entriesOf(redis: Redis, key: string): Promise<string[]> {
  if (key.endsWith(':filters')) return redis.hkeys(key)
  return key.endsWith(':sessions') ? redis.zrange(key, 0, -1) : []
}
