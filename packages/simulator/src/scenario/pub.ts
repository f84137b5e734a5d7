/** `pub`: N devices publish, each to its topic; nobody here listens. */
import type { FleetOptions } from '../command/options.ts'
import { clientIdOf, topicOf, type FleetPlan } from './plan.ts'

export const planPub = (options: FleetOptions): FleetPlan => ({
  devices: Array.from({ length: options.devices }, (_, index) => ({
    clientId: clientIdOf(options, index),
    publishes: { publisher: index, topic: topicOf(options, index) },
  })),
  publishers: options.devices,
  receivers: 0,
})
