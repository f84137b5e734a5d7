import { decodeMessage, hasWildcard, topicMatchesFilter, type Message } from '@breakwater/bus'
import type { Redis } from '@breakwater/redis'

const SCAN_COUNT = 1_000

/** Retained messages that match a filter, in chunks, out of the hash that holds all of them. */
export async function* scanRetained(
  redis: Redis,
  key: string,
  filter: string,
): AsyncIterable<readonly Message[]> {
  if (!hasWildcard(filter)) {
    const found = await redis.hgetBuffer(key, filter)
    if (found !== null) yield [decodeMessage(found)]
    return
  }
  // A scan may come by the same topic twice while the hash grows.
  const seen = new Set<string>()
  let cursor = '0'
  do {
    const [next, pairs] = await redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT)
    cursor = next.toString()
    const chunk: Message[] = []
    for (let index = 0; index + 1 < pairs.length; index += 2) {
      const topic = (pairs[index] as Buffer).toString()
      if (!topicMatchesFilter(topic, filter) || seen.has(topic)) continue
      seen.add(topic)
      chunk.push(decodeMessage(pairs[index + 1] as Buffer))
    }
    if (chunk.length > 0) yield chunk
  } while (cursor !== '0')
}
