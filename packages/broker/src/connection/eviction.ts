/**
 * Goes through the connections that are open and closes those that may not be any more. In: a question that is
 * asked of each. Out: how many were closed. Bound: SLICE connections, then everybody else has a turn of the
 * event loop. Who connects meanwhile is asked too; what holds now has been asked of them anyway.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import type { CloseReasonId } from './close-reason.ts'
import type { Connection } from './connection.ts'

const SLICE = 256

export interface Eviction {
  readonly reason: CloseReasonId
  readonly detail: string | undefined
}

/** Never rejects. */
export async function evict(
  connections: Iterable<Connection>,
  why: (connection: Connection) => Eviction | undefined,
): Promise<number> {
  let seen = 0
  let closed = 0
  for (const connection of connections) {
    const eviction = connection.open ? why(connection) : undefined
    if (eviction !== undefined) {
      connection.close(eviction.reason, eviction.detail)
      closed += 1
    }
    seen += 1
    if (seen % SLICE === 0) await immediate()
  }
  return closed
}
