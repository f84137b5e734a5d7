/** All attacks, in the order in which they are run. */
import type { AttackCase } from './attack-case.ts'
import { arrivals } from './cases/arrivals.ts'
import { logFloods } from './cases/log-floods.ts'
import { loginCases } from './cases/logins.ts'
import { publishes } from './cases/publishes.ts'
import { stored } from './cases/stored.ts'
import { subscriptions } from './cases/subscriptions.ts'
import { webSockets } from './cases/web-sockets.ts'

export const ATTACKS: readonly AttackCase[] = [
  ...logFloods,
  ...subscriptions,
  ...publishes,
  ...webSockets,
  ...arrivals,
  ...loginCases,
  ...stored,
]
