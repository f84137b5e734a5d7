/** Script calls, each for itself; those to one server in one write. */
import type { Redis } from 'ioredis'
import type { Servers, RedisArgument } from './servers.ts'

export type Result = readonly [error: Error | null, result?: unknown]

/** `evalsha`, digest, number of keys, keys, arguments. The first key says to whom it goes. */
export type ScriptCall = readonly ['evalsha', string, number, string, ...RedisArgument[]]

/**
 * Results in order; strings are buffers. A server that misses its scripts is given them by `load`, for the next
 * time.
 *
 * @throws {Error} nothing was sent
 */
export async function sendAll(
  servers: Servers,
  calls: readonly ScriptCall[],
  load: (redis: Redis) => Promise<void>,
): Promise<readonly Result[]> {
  const [only] = servers.all
  if (!servers.clustered) return await sendTo(only, calls, load)
  const places = new Map<Redis | undefined, number[]>()
  for (const [place, call] of calls.entries()) {
    const redis = servers.of(call[3])
    const others = places.get(redis)
    if (others === undefined) places.set(redis, [place])
    else others.push(place)
  }
  const results: Result[] = []
  const sent = [...places].map(async ([redis, own]) => {
    const some = own.map((place) => calls[place] as ScriptCall)
    // What one server is not there for has happened at the others.
    const answers = await sendTo(redis, some, load).catch((error: Error) => error)
    for (const [index, place] of own.entries())
      results[place] = answers instanceof Error ? [answers] : (answers[index] ?? NO_ANSWER)
  })
  await Promise.all(sent)
  return results
}

/** The same of one server, any commands. @throws {Error} nothing was sent */
export async function sendTo(
  redis: Redis | undefined,
  calls: readonly (readonly [string, ...RedisArgument[]])[],
  load: (redis: Redis) => Promise<void>,
): Promise<readonly Result[]> {
  if (redis?.status !== 'ready') throw new Error('no connection')
  const pipeline = redis.pipeline()
  for (const words of calls) pipeline.callBuffer(...words)
  const results = (await pipeline.exec()) ?? []
  // What fails here fails again where a script is missed.
  if (results.some(([error]) => error?.message.startsWith('NOSCRIPT') === true))
    await load(redis).catch(() => undefined)
  return results
}

const NO_ANSWER: Result = [new Error('no answer')]
