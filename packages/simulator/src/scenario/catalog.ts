/** Every command and the plan it makes. */
import type { FleetCommand, FleetOptions } from '../options.ts'
import { planConnect } from './connect.ts'
import type { FleetPlan } from './plan.ts'
import { planPub } from './pub.ts'
import { planPubsub } from './pubsub.ts'
import { planSub } from './sub.ts'

export const SCENARIOS: Readonly<Record<FleetCommand, (options: FleetOptions) => FleetPlan>> = {
  connect: planConnect,
  pub: planPub,
  sub: planSub,
  pubsub: planPubsub,
}
