/**
 * Drain: the last thing that a node does for its clients.
 *
 * In: the signal to stop; nothing is accepted any more. Each connection is not read further, what it has sent
 * takes effect and is acknowledged, then it is closed with `shutting-down` and its last bytes are written.
 * Bounds: for what is under way `timeoutMs` less what the node needs to close its own (`reserveMs`), LINGER_MS
 * for the last bytes; then the rest is cut.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../hold.ts'
import type { Router } from '../route/router.ts'

const RESERVE_MAX_MS = 4_000
const RESERVE_SHARE_MAX = 0.6
const LINGER_MS = 500
const LINGER_POLL_MS = 10

export async function drain(parts: {
  readonly connections: ReadonlySet<Connection>
  readonly router: Router
  readonly timeoutMs: number
}): Promise<void> {
  const { router, timeoutMs } = parts
  // A connection leaves the set when it is closed.
  const connections = [...parts.connections]
  for (const connection of connections) connection.hold(Hold.CONTROL)
  const drained = Promise.all([...router.sessions.values()].map(({ lane }) => lane.drained()))
  const timeout = new AbortController()
  const reserveMs = Math.min(RESERVE_MAX_MS, timeoutMs * RESERVE_SHARE_MAX)
  await Promise.race([
    drained,
    delay(timeoutMs - reserveMs, undefined, { signal: timeout.signal }).catch(() => undefined),
  ])
  timeout.abort()
  for (const connection of connections) connection.close('shutting-down')
  const deadline = performance.now() + Math.min(LINGER_MS, reserveMs)
  while (performance.now() < deadline && connections.some(({ destroyed }) => !destroyed))
    await delay(LINGER_POLL_MS)
  for (const connection of connections) connection.destroy()
}
