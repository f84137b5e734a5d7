/**
 * What the parts of a cluster cost, as measured by `npm run simulate -- --measure`: CPU of a node and of Redis in
 * µs, memory in bytes. The committed figures are in unit-costs.json, with the machine that they are of.
 */
import { readFileSync } from 'node:fs'

export const COSTS_FILE: URL = new URL('unit-costs.json', import.meta.url)

/** Of a message on its way through one process: a part of its own, and one that its turn shares. */
export interface Share {
  /** µs per message. */
  readonly messageUs: number
  /** µs per frame between nodes, or per turn that delivers to this node's own clients. */
  readonly turnUs: number
}

/** Of one quality of service. */
export interface PathCosts {
  /** Publisher and subscriber at one node. */
  readonly local: Share
  /** Publisher's node, where the subscriber is elsewhere. */
  readonly sender: Share
  /** Subscriber's node. */
  readonly receiver: Share
  readonly redisLocal: Share
  readonly redisRemote: Share
}

/** By the number of nodes: what each takes, and a part that each takes for every node there is. */
export interface PerNode {
  readonly ownUs: number
  readonly perNodeUs: number
}

export interface UnitCosts {
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly node: string
    readonly redis: string
    readonly date: string
  }
  readonly qos0: PathCosts
  readonly qos1: PathCosts
  /** Without clients, µs of CPU per second and node. */
  readonly idleNode: PerNode
  readonly idleRedis: PerNode
  /** Of one SUBSCRIBE of a clean session to a filter that no node has: the sum over all nodes, and Redis. */
  readonly subscribeNodes: PerNode
  readonly subscribeRedis: PerNode
  /** PINGREQ and its answer, µs of a node. */
  readonly pingUs: number
  /** TLS handshake, CONNECT and one SUBSCRIBE, µs of a node. */
  readonly connectUs: number
  /** One TLS connection with a subscription, at its node. */
  readonly connectionBytes: number
  /** One stored session with one filter, at every node. */
  readonly sessionBytes: number
  /** One filter of another node's clients. */
  readonly routeBytes: number
}

export function readCosts(file: URL = COSTS_FILE): UnitCosts {
  return JSON.parse(readFileSync(file, 'utf8')) as UnitCosts
}
