/**
 * Drain: the last thing that a node does for its clients.
 *
 * In: the signal to stop; nobody is accepted any more. Clients go to other nodes one after the other, the one
 * that has been idle longest first, so that those are not hit by a crowd; until its turn a client is served as
 * ever. In its turn it is not read further, what it has sent takes effect and is acknowledged, then it is closed
 * with `shutting-down` and its last bytes are written.
 * Bounds: `drainClientsPerSecond`, more where the time would not suffice; SPREAD_SHARE of `timeoutMs` less what
 * the node needs to close its own (`reserveMs`) for the turns, all of it for what is under way, LINGER_MS for the
 * last bytes; then the rest is cut.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../connection/hold.ts'
import type { Router } from '../route/router.ts'
import { clientsDue, TICK_MS } from './pace.ts'

const RESERVE_MAX_MS = 4_000
const RESERVE_SHARE_MAX = 0.6
const SPREAD_SHARE = 0.8
const LINGER_MS = 500
const LINGER_POLL_MS = 10
const PROGRESS_MS = 1_000

export interface DrainParts {
  readonly connections: ReadonlySet<Connection>
  readonly router: Router
  readonly timeoutMs: number
  /** Infinity: there is no other node, nobody is spared anything. */
  readonly clientsPerSecond: number
  /** Told once a second, with how many clients have not had their turn. */
  readonly onProgress: (clients: number) => void
}

export async function drain(parts: DrainParts): Promise<void> {
  const { router, timeoutMs } = parts
  const reserveMs = Math.min(RESERVE_MAX_MS, timeoutMs * RESERVE_SHARE_MAX)
  const startedAt = performance.now()
  const endAt = startedAt + timeoutMs - reserveMs
  // A connection leaves the set when it is closed.
  const connections = [...parts.connections]
  const clients = connections.filter(({ answered }) => answered)
  for (const connection of connections) if (!connection.answered) connection.close('shutting-down')

  const finishing: Promise<void>[] = []
  const spreadUntil = startedAt + (endAt - startedAt) * SPREAD_SHARE
  await spread(longestIdleFirst(clients, startedAt), spreadUntil, parts, (connection) =>
    finishing.push(finish(connection, router)),
  )
  const timeout = new AbortController()
  await Promise.race([
    Promise.all(finishing),
    delay(Math.max(0, endAt - performance.now()), undefined, { signal: timeout.signal }).catch(
      () => undefined,
    ),
  ])
  timeout.abort()
  for (const connection of clients) connection.close('shutting-down')
  const deadline = performance.now() + Math.min(LINGER_MS, reserveMs)
  while (performance.now() < deadline && connections.some(({ destroyed }) => !destroyed))
    await delay(LINGER_POLL_MS)
  for (const connection of connections) connection.destroy()
}

/** Calls `next` for one after the other. */
async function spread(
  clients: readonly Connection[],
  until: number,
  { clientsPerSecond, onProgress }: DrainParts,
  next: (connection: Connection) => void,
): Promise<void> {
  let turn = 0
  let tickAt = performance.now()
  let toldAt = tickAt
  for (;;) {
    const now = performance.now()
    const time = { sinceMs: now - tickAt, leftMs: until - now }
    const due = clientsDue(clients.length - turn, time, clientsPerSecond)
    for (const connection of clients.slice(turn, turn + due)) next(connection)
    turn += due
    tickAt = now
    if (turn >= clients.length) return
    if (now - toldAt >= PROGRESS_MS) {
      toldAt = now
      onProgress(clients.length - turn)
    }
    await delay(TICK_MS * (0.5 + Math.random()))
  }
}

/** Resolves when the connection is closed: what it has sent has taken effect. */
async function finish(connection: Connection, router: Router): Promise<void> {
  connection.hold(Hold.DRAIN)
  const session = router.sessions.get(connection.clientId)
  if (session?.connection === connection) await session.lane.drained()
  connection.close('shutting-down')
}

/** Who has neither sent nor got anything for longest is disturbed least; pings do not count. */
function longestIdleFirst(clients: readonly Connection[], nowMs: number): Connection[] {
  for (const connection of clients) connection.activity(nowMs)
  return clients.toSorted((one, other) => one.lastActive - other.lastActive)
}
