/**
 * Drain: the last thing that a node does for its clients.
 *
 * In: the signal to stop; nothing is accepted any more. Each connection is not read further, what it has sent
 * takes effect and is acknowledged, then it is closed with `shutting-down`. Bound: `timeoutMs` in all, then
 * the rest is closed as it is.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../hold.ts'
import type { Router } from '../route/router.ts'

export async function drain(parts: {
  readonly connections: ReadonlySet<Connection>
  readonly router: Router
  readonly timeoutMs: number
}): Promise<void> {
  const { connections, router, timeoutMs } = parts
  for (const connection of connections) connection.hold(Hold.CONTROL)
  const drained = Promise.all([...router.sessions.values()].map(({ lane }) => lane.drained()))
  const timeout = new AbortController()
  await Promise.race([
    drained,
    delay(timeoutMs, undefined, { signal: timeout.signal }).catch(() => undefined),
  ])
  timeout.abort()
  // The sockets write what waits, then end; the process outlives them by its own last resort.
  for (const connection of connections) connection.close('shutting-down')
}
