/**
 * What let a client in is asked once more as its session goes live. It may have waited for its session for seconds,
 * and who changes rules, revocations, authorities or the password file meanwhile walks over the clients that are
 * live: this one is not among them yet.
 *
 * In: what it was let in by, and the session that it is about to have. Out: why it may not have it after all. No
 * turn of the event loop lies between the answer and the session.
 */
import type { Connection } from '../connection/connection.ts'
import type { Eviction } from '../connection/eviction.ts'
import type { PendingSession } from '../control/client-control.ts'
import type { Admitted, AccessControl } from '../auth/access-control.ts'
import type { RevocationEnforcement } from '../revocation/revocation-enforcement.ts'

export interface GoLiveChecks {
  readonly access: AccessControl
  readonly enforcement: RevocationEnforcement
}

export function refusalAtGoLive(
  { access, enforcement }: GoLiveChecks,
  connection: Connection,
  admitted: Admitted,
  { subscriptions, isLost }: PendingSession,
): Eviction | undefined {
  const ended = enforcement.refusalNow(connection)
  if (ended !== undefined) return ended
  const refused = access.refusalNow(admitted)
  if (refused !== undefined) return { reason: refused.refused, detail: refused.detail }
  const denied = subscriptions.find(
    ({ filter }) => admitted.permissions?.subscribe(filter) === false,
  )
  if (denied !== undefined) return { reason: 'access-revoked', detail: denied.filter }
  return isLost() ? { reason: 'session-lost', detail: undefined } : undefined
}
