/**
 * What every store must do, whatever it is made of: the suite that belongs to the contract in store.ts. It is
 * run by test/store; `describe` and `test` come from there, so that nothing here needs a test runner.
 */
import { acknowledgementCompliance } from './compliance/acknowledgement.ts'
import { inboundCompliance } from './compliance/inbound.ts'
import { identityCompliance } from './compliance/identity.ts'
import { queueBoundsCompliance } from './compliance/queue-bounds.ts'
import { queueCompliance } from './compliance/queue.ts'
import { retainedCompliance } from './compliance/retained.ts'
import { sessionCompliance } from './compliance/session.ts'
import type { OpenStore, Suite } from './compliance/store-under-test.ts'
import { subscriptionCompliance } from './compliance/subscription.ts'

export type { OpenStore, StoreUnderTest, Suite } from './compliance/store-under-test.ts'

export function storeCompliance(suite: Suite, open: OpenStore): void {
  sessionCompliance(suite, open)
  subscriptionCompliance(suite, open)
  identityCompliance(suite, open)
  queueCompliance(suite, open)
  queueBoundsCompliance(suite, open)
  acknowledgementCompliance(suite, open)
  inboundCompliance(suite, open)
  retainedCompliance(suite, open)
}
