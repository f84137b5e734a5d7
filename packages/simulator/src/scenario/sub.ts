/** `sub`: N devices subscribe, each to its filter, and check whatever another fleet publishes. */
import type { FleetOptions } from '../command/options.ts'
import { clientIdOf, topicOf, type FleetPlan } from './plan.ts'

export const planSub = (options: FleetOptions): FleetPlan => ({
  devices: Array.from({ length: options.devices }, (_, index) => ({
    clientId: clientIdOf(options, index),
    subscribes: { filter: topicOf(options, index), expects: undefined },
  })),
  publishers: 0,
  receivers: 0,
})
