/** What a failed command of Redis means for what it was to do. */
import type { Outcome, Redis } from '@breakwater/redis'
import { loadWrites } from './write-scripts.ts'

export type Result = readonly [error: Error | null, result?: unknown]

/** The server's word that a command did not happen, and may at another time. */
const REFUSED =
  /^(NOSCRIPT|OOM|READONLY|LOADING|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|OUTOFTURN|TRYAGAIN|CLUSTERDOWN) /

/** What is sent again without an answer must be harmless when it happens twice. */
export function failureOf(error: Error): Outcome {
  const again = error.name !== 'ReplyError' || REFUSED.test(error.message)
  return { error: reasonOf(error), again }
}

/** ioredis puts a lost connection in terms of its own retries. */
function reasonOf(error: Error): Error {
  if (error.name === 'MaxRetriesPerRequestError')
    return new Error('connection lost', { cause: error })
  return error
}

/** Sends commands in one go, each by itself; a server that misses its scripts is given them. */
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
