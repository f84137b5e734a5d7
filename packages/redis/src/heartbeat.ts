/**
 * Cuts a connection that is open and says nothing: a peer that went away without a word would otherwise be
 * noticed after minutes, when TCP gives up, and a subscriber would miss everything until then. A connection
 * that is cut connects again by itself.
 */
import type { Redis } from 'ioredis'

const PERIOD_MAX_MS = 2_000

export function startHeartbeat(redis: Redis, timeoutMs: number): Disposable {
  let silentSince: number | undefined
  let asked = false
  const ask = async (): Promise<void> => {
    asked = true
    try {
      await redis.ping()
      silentSince = undefined
    } catch {
      // Lost on the way: the next beat asks again.
    }
    asked = false
  }
  const beat = (): void => {
    // `connect`: open, but the handshake has no answer yet.
    if (redis.status !== 'ready' && redis.status !== 'connect') {
      silentSince = undefined
      return
    }
    const now = performance.now()
    silentSince ??= now
    if (now - silentSince > timeoutMs) {
      silentSince = undefined
      redis.disconnect(true)
    } else if (redis.status === 'ready' && !asked) void ask()
  }
  const timer = setInterval(beat, Math.min(PERIOD_MAX_MS, timeoutMs / 2))
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
