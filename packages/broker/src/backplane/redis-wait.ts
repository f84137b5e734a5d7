/**
 * The start of a node that waits for Redis.
 *
 * In: attempts to start. Out: the first that succeeds. What no waiting mends (a database that is not there, a
 * setting that Breakwater cannot live with, a newer stored format, an import under way) ends the wait as a `ConfigError`; everything
 * else that Redis, or the way to it, does is waited for, for ever. Bound: one attempt at a time, PAUSE_MAX_MS
 * between two.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { JoinRefused } from '@breakwater/cluster'
import { ConfigError } from '@breakwater/config'
import { faultOf } from '@breakwater/redis'
import { lineOf, type RedisEvents } from '../observe/redis-events.ts'

const PAUSE_MIN_MS = 250
const PAUSE_MAX_MS = 5_000

/** Of the program, and not of Redis. */
const DEFECTS: ReadonlySet<string> = new Set([
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
])

/** Redis cannot be used now. */
class RedisAwaited extends Error {
  override readonly name = 'RedisAwaited'
}

/** A part of the start that needs Redis. @throws {RedisAwaited} it may be tried again */
export async function redisStep<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw meaningOf(error as Error)
  }
}

function meaningOf(error: Error): Error {
  if (error instanceof ConfigError || DEFECTS.has(error.name)) return error
  const isRefused = error instanceof JoinRefused
  const { lasting, advice } = faultOf(error)
  if (!isRefused && !lasting) return new RedisAwaited(error.message, { cause: error })
  const line = advice === '' ? error.message : `${error.message}; ${advice}`
  return new ConfigError(`BREAKWATER_REDIS_URL: ${line}`, { cause: error })
}

export interface RedisWaitOptions {
  readonly events: RedisEvents
  /** Ends the wait. */
  readonly signal: AbortSignal | undefined
  /** Why it is waited, in one line. */
  readonly waiting: (why: string) => void
}

/** @throws {Error} what no waiting mends, or the reason of the signal */
export async function untilRedis<Result extends AsyncDisposable>(
  attempt: () => Promise<Result>,
  { events, signal, waiting }: RedisWaitOptions,
): Promise<Result> {
  const { promise: asked, reject } = Promise.withResolvers<never>()
  asked.catch(() => undefined)
  const end = (): void => reject(signal?.reason as Error)
  signal?.addEventListener('abort', end, { once: true })
  try {
    for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2)) {
      signal?.throwIfAborted()
      const tried = attempt()
      try {
        return await Promise.race([tried, asked])
      } catch (error) {
        if (!(error instanceof RedisAwaited)) {
          // What comes of it all the same serves nobody.
          tried.then((late) => late[Symbol.asyncDispose]()).catch(() => undefined)
          throw error
        }
        const cause = error.cause as Error
        events.startFailed(cause)
        const { text, ...fault } = faultOf(cause)
        waiting(lineOf({ ...fault, text: cause.message.includes(text) ? cause.message : text }))
      }
      const jitterMs = (pauseMs / 2) * Math.random()
      await delay(pauseMs / 2 + jitterMs, undefined, signal === undefined ? {} : { signal })
    }
  } finally {
    signal?.removeEventListener('abort', end)
  }
}
