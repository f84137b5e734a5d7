/** What is in Redis: every key, and of the hashes and sets that hold an entry per session, the entries too. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'

export interface FoundKey {
  readonly key: string
  /** Of `filters`, `owners` and `sessions`: the client ids; of others: nothing. */
  readonly entries: readonly string[]
}

/** Nodes end sessions after their clients have heard of it; what is still there then, stays. */
const REST_MAX_MS = 20_000
const POLL_MS = 200

export async function keysAtRest(
  redis: Redis,
  prefix: string,
  isClean: (found: readonly FoundKey[]) => boolean,
): Promise<FoundKey[]> {
  const deadline = performance.now() + REST_MAX_MS
  for (;;) {
    const found = await scanKeys(redis, prefix)
    if (isClean(found) || performance.now() > deadline) return found
    await delay(POLL_MS)
  }
}

async function scanKeys(redis: Redis, prefix: string): Promise<FoundKey[]> {
  const found: FoundKey[] = []
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 }))
    for (const key of keys as string[]) found.push({ key, entries: await entriesOf(redis, key) })
  return found.sort((one, other) => (one.key < other.key ? -1 : 1))
}

async function entriesOf(redis: Redis, key: string): Promise<string[]> {
  if (key.endsWith(':filters') || key.endsWith(':owners')) return redis.hkeys(key)
  return key.endsWith(':sessions') ? redis.zrange(key, 0, -1) : []
}
