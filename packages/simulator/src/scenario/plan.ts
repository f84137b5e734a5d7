/** Who is in a fleet and who talks to whom, before any socket exists. */
import type { FleetOptions } from '../command/options.ts'
import { renderTemplate } from '../command/template.ts'

/** A publisher: the topic it writes to. Publishers are numbered from 0. */
export interface PublisherPlan {
  readonly publisher: number
  readonly topic: string
}

/** A subscriber: its filter, and the publishers whose every message must arrive. */
export interface SubscriberPlan {
  readonly filter: string
  /** `undefined`: whoever turns up, of any run. */
  readonly expects: { readonly first: number; readonly count: number } | undefined
}

export interface DevicePlan {
  readonly clientId: string
  readonly publishes?: PublisherPlan
  readonly subscribes?: SubscriberPlan
}

export interface FleetPlan {
  readonly devices: readonly DevicePlan[]
  readonly publishers: number
  /** Subscribers that each message must reach; 0: nobody here looks. */
  readonly receivers: number
}

/** The run id as it appears in names. */
export const runName = (options: FleetOptions): string =>
  options.runId.toString(16).padStart(8, '0')

/** Client id of connection `index`. */
export const clientIdOf = (options: FleetOptions, index: number): string =>
  renderTemplate(options.clientId, { i: index, run: runName(options) })

/** The topic template filled in for number `i`, whose client id is that of connection `i`. */
export const topicOf = (options: FleetOptions, i: number): string =>
  renderTemplate(options.topic, { i, run: runName(options), id: clientIdOf(options, i) })
