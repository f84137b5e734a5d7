/**
 * `pubsub`: publishers and the subscribers that check them, in one fleet.
 *
 *   pairs    N/2 publishers, N/2 subscribers: publisher i → subscriber i
 *   self     N devices, each subscribes to the topic that it publishes to
 *   fan-in   N publishers → one more device that subscribes to them all with a wildcard
 *   fan-out  one more device that publishes → N subscribers
 *
 * Publishers come first, so that publisher i is connection i and `{{id}}` in a topic is its client
 * id. Subscribers are ready before anything is published, because a run waits for all devices.
 */
import type { FleetOptions, Pattern } from '../command/options.ts'
import { wildcardFilter } from '../command/template.ts'
import { clientIdOf, runName, topicOf, type DevicePlan, type FleetPlan } from './plan.ts'

const publishing = (options: FleetOptions, publisher: number): DevicePlan => ({
  clientId: clientIdOf(options, publisher),
  publishes: { publisher, topic: topicOf(options, publisher) },
})

const subscribing = (
  options: FleetOptions,
  index: number,
  filter: string,
  expects: { readonly first: number; readonly count: number },
): DevicePlan => ({ clientId: clientIdOf(options, index), subscribes: { filter, expects } })

const times = (count: number, plan: (index: number) => DevicePlan): DevicePlan[] =>
  Array.from({ length: count }, (_, index) => plan(index))

const planPairs = (options: FleetOptions): FleetPlan => {
  const pairs = options.devices / 2
  const publisher = (i: number): DevicePlan => publishing(options, i)
  const subscriber = (i: number): DevicePlan =>
    subscribing(options, pairs + i, topicOf(options, i), { first: i, count: 1 })
  const devices = [...times(pairs, publisher), ...times(pairs, subscriber)]
  return { devices, publishers: pairs, receivers: 1 }
}

const planSelf = (options: FleetOptions): FleetPlan => {
  const both = (i: number): DevicePlan => ({
    ...publishing(options, i),
    ...subscribing(options, i, topicOf(options, i), { first: i, count: 1 }),
  })
  return { devices: times(options.devices, both), publishers: options.devices, receivers: 1 }
}

const planFanIn = (options: FleetOptions): FleetPlan => {
  const count = options.devices
  const filter = wildcardFilter(options.topic, runName(options))
  const publishers = times(count, (i) => publishing(options, i))
  const backend = subscribing(options, count, filter, { first: 0, count })
  return { devices: [...publishers, backend], publishers: count, receivers: 1 }
}

const planFanOut = (options: FleetOptions): FleetPlan => {
  const filter = topicOf(options, 0)
  const subscriber = (i: number): DevicePlan =>
    subscribing(options, i + 1, filter, { first: 0, count: 1 })
  const devices = [publishing(options, 0), ...times(options.devices, subscriber)]
  return { devices, publishers: 1, receivers: options.devices }
}

const PLANS: Readonly<Record<Pattern, (options: FleetOptions) => FleetPlan>> = {
  pairs: planPairs,
  self: planSelf,
  'fan-in': planFanIn,
  'fan-out': planFanOut,
}

export const planPubsub = (options: FleetOptions): FleetPlan => PLANS[options.pattern](options)
