/**
 * What every store must do, whatever it is made of: the suite that belongs to the contract in store.ts. It is
 * run by test/store; `describe` and `test` come from there, so that nothing here needs a test runner.
 */
import { acknowledgementCompliance } from './compliance/acknowledgement.ts'
import { adoptionCompliance } from './compliance/adoption.ts'
import { inboundCompliance } from './compliance/inbound.ts'
import { identityCompliance } from './compliance/identity.ts'
import { ownershipCompliance } from './compliance/ownership.ts'
import { queueBoundsCompliance } from './compliance/queue-bounds.ts'
import { queueCompliance } from './compliance/queue.ts'
import { retainedBoundsCompliance } from './compliance/retained-bounds.ts'
import { retainedCompliance } from './compliance/retained.ts'
import { revocationCompliance } from './compliance/revocations.ts'
import { sessionCompliance } from './compliance/session.ts'
import { sharedCompliance } from './compliance/shared.ts'
import { fencingCompliance } from './compliance/fencing.ts'
import type { OpenRaw, OpenStore, Suite } from './compliance/store-under-test.ts'
import { OwnedStore } from './compliance/owned-store.ts'
import { userCompliance } from './compliance/users.ts'
import { subscriptionCompliance } from './compliance/subscription.ts'

export { OwnedStore } from './compliance/owned-store.ts'
export type { OpenRaw, RawStores, Suite } from './compliance/store-under-test.ts'

export function storeCompliance(suite: Suite, openRaw: OpenRaw): void {
  const open: OpenStore = async (options) => {
    const { store, other, ...raw } = await openRaw(options)
    const epochs = new Map<string, number>()
    return { ...raw, store: new OwnedStore(store, epochs), other: new OwnedStore(other, epochs) }
  }
  sessionCompliance(suite, open)
  subscriptionCompliance(suite, open)
  identityCompliance(suite, open)
  queueCompliance(suite, open)
  queueBoundsCompliance(suite, open)
  acknowledgementCompliance(suite, open)
  inboundCompliance(suite, open)
  retainedCompliance(suite, open)
  retainedBoundsCompliance(suite, open)
  ownershipCompliance(suite, openRaw)
  adoptionCompliance(suite, openRaw)
  fencingCompliance(suite, openRaw)
  sharedCompliance(suite, openRaw)
  revocationCompliance(suite, openRaw)
  userCompliance(suite, openRaw)
}
