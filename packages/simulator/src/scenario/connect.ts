/** `connect`: N devices connect at a rate and stay. */
import type { FleetOptions } from '../command/options.ts'
import { clientIdOf, type FleetPlan } from './plan.ts'

export const planConnect = (options: FleetOptions): FleetPlan => ({
  devices: Array.from({ length: options.devices }, (_, index) => ({
    clientId: clientIdOf(options, index),
  })),
  publishers: 0,
  receivers: 0,
})
