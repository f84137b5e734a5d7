import { decodeMessage, hasWildcard, topicMatchesFilter, type Message } from '@breakwater/bus'
import { bucketOf, RETAINED_BUCKETS, type Keys, type Redis } from '@breakwater/redis'
import { pipelined } from './buckets.ts'

const SCAN_COUNT = 1_000

/** Retained messages that match a filter, in chunks, out of the hashes that hold all of them. */
export async function* scanRetained(
  redis: Redis,
  keys: Keys,
  filter: string,
): AsyncIterable<readonly Message[]> {
  if (!hasWildcard(filter)) {
    const key = keys.retained(bucketOf(filter, RETAINED_BUCKETS))
    const found = await redis.hgetBuffer(key, filter)
    if (found !== null) yield [decodeMessage(found)]
    return
  }
  // A scan may come by the same topic twice while a hash grows.
  const seen = new Set<string>()
  let scans = allKeys(keys).map((key) => ({ key, cursor: '0' }))
  while (scans.length > 0) {
    const found = await pipelined(
      redis,
      scans.map(({ key, cursor }) => ['hscan', key, cursor, 'COUNT', SCAN_COUNT]),
    )
    const next: typeof scans = []
    const chunk: Message[] = []
    for (const [index, answer] of found.entries()) {
      const [cursor, pairs] = answer as [Buffer, Buffer[]]
      const { key } = scans[index] as { key: string }
      if (cursor.toString() !== '0') next.push({ key, cursor: cursor.toString() })
      for (let place = 0; place + 1 < pairs.length; place += 2) {
        const topic = (pairs[place] as Buffer).toString()
        if (!topicMatchesFilter(topic, filter) || seen.has(topic)) continue
        seen.add(topic)
        chunk.push(decodeMessage(pairs[place + 1] as Buffer))
      }
    }
    scans = next
    if (chunk.length > 0) yield chunk
  }
}

export async function countRetained(redis: Redis, keys: Keys): Promise<number> {
  const counts = await pipelined(
    redis,
    allKeys(keys).map((key) => ['hlen', key]),
  )
  return (counts as number[]).reduce((sum, count) => sum + count, 0)
}

function allKeys(keys: Keys): string[] {
  return Array.from({ length: RETAINED_BUCKETS }, (_, bucket) => keys.retained(bucket))
}
