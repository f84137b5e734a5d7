/** How both writers send: each command for itself, all of them in one write. */
import type { Redis } from '@breakwater/redis'
import type { Confirmation } from './confirmation.ts'
import type { Argument } from './scripts.ts'
import { loadWrites } from './write-scripts.ts'

export type Result = readonly [error: Error | null, result?: unknown]
type Command = readonly [string, ...Argument[]]

/** A server that misses its scripts is given them. */
export async function sendAll(
  redis: Redis,
  commands: readonly Command[],
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

/** Why what was sent is not confirmed. `later`: it may be asked again on this connection. */
export interface Lack {
  readonly error: Error
  readonly later: boolean
}

/** So long others that use the connection are held up at a time. */
const WAIT_MS = 100

/**
 * Sends, and asks behind it whether it may be acknowledged, until it may or the connection would be cut.
 * Nothing is asked on another connection than what it is asked for was sent on.
 */
export async function sendConfirmed(
  redis: Redis,
  commands: readonly Command[],
  confirmation: Confirmation,
  cutAtMs: number,
): Promise<{ readonly results: readonly Result[]; readonly lack: Lack | undefined }> {
  const asked = await sendAll(redis, [...commands, confirmation.command(WAIT_MS)])
  const results = asked.slice(0, commands.length)
  let answer = asked[commands.length]
  for (;;) {
    const lack = lackOf(confirmation, answer)
    const over = performance.now() + 2 * WAIT_MS > cutAtMs
    if (lack === undefined || !lack.later || over || !confirmation.waits) return { results, lack }
    // In the turn of the answer before: on the same connection, or on none.
    answer = (await sendAll(redis, [confirmation.command(WAIT_MS)]))[0]
  }
}

function lackOf(
  confirmation: Confirmation,
  [error, answer]: Result = [new Error('no answer')],
): Lack | undefined {
  if (error !== null) return { error, later: false }
  const why = confirmation.lack(answer)
  return why === undefined ? undefined : { error: new Error(why), later: true }
}
