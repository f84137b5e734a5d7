/** Every command and the plan it makes. */
import type { FleetMode } from '../command/fleet-mode.ts'
import type { FleetOptions } from '../command/options.ts'
import { planConnect } from './connect.ts'
import type { FleetPlan } from './plan.ts'
import { planPub } from './pub.ts'
import { planPubsub } from './pubsub.ts'
import { planSub } from './sub.ts'

export const SCENARIOS: Readonly<Record<FleetMode, (options: FleetOptions) => FleetPlan>> = {
  connect: planConnect,
  pub: planPub,
  sub: planSub,
  pubsub: planPubsub,
}
