/*
 * What the forwarding table is compared with, and the table itself, behind one interface and with
 * the same targets. `QlobberSub` is the matcher of aedes and knows QoS; its result is joined per
 * target as ours is. `QlobberDedup` has no QoS; when one filter matches it hands out its own live set.
 */
import { createRequire } from 'node:module'
import { ForwardingTable, MatchMerge, type Target } from '@breakwater/matching'
import type { QoS } from '@breakwater/mqtt'

export interface Contestant {
  set(filter: string, target: Target, qos: QoS): void
  delete(filter: string, target: Target): void
  /** How many targets the topic has. */
  match(topic: string): number
}

interface Subscription {
  readonly clientId: Target
  readonly topic: string
  readonly qos: QoS
}

interface Qlobber<V, R> {
  add(filter: string, value: V): void
  remove(filter: string, value: V): void
  match(topic: string): R
}

type Constructor<V, R> = new (options: object) => Qlobber<V, R>

const require = createRequire(import.meta.url)
const { QlobberDedup } = require('qlobber') as { QlobberDedup: Constructor<Target, Set<Target>> }
const QlobberSub = require('qlobber/aedes/qlobber-sub.js') as Constructor<
  Subscription,
  Subscription[]
>
const MQTT = { separator: '/', wildcard_one: '+', wildcard_some: '#', match_empty_levels: true }

export function newTarget(): Target {
  return { matchStamp: 0, matchIndex: 0 }
}

export function breakwater(cachedTopicsMax: number, shapesMax = 64): Contestant {
  const table = new ForwardingTable<Target>({ cachedTopicsMax, shapesMax })
  return {
    set: (filter, target, qos) => table.set(filter, target, qos),
    delete: (filter, target) => table.delete(filter, target),
    match: (topic) => table.match(topic).targets.length,
  }
}

export function qlobberSub(): Contestant {
  const matcher = new QlobberSub(MQTT)
  return {
    set: (topic, clientId, qos) => matcher.add(topic, { clientId, topic, qos }),
    delete: (topic, clientId) => matcher.remove(topic, { clientId, topic, qos: 0 }),
    match: (topic) => {
      const merge = new MatchMerge<Target>()
      for (const { clientId, qos } of matcher.match(topic)) merge.add(clientId, qos)
      return merge.matches.targets.length
    },
  }
}

export function qlobberDedup(): Contestant {
  const matcher = new QlobberDedup(MQTT)
  return {
    set: (filter, target) => matcher.add(filter, target),
    delete: (filter, target) => matcher.remove(filter, target),
    match: (topic) => matcher.match(topic).size,
  }
}
