/** Members of a cluster without a bus: what they know of each other, and what they are told. */
import {
  createRedisCluster,
  type Cluster,
  type ClusterHandler,
  type NodeFacts,
} from '@breakwater/cluster'
import type { Redis } from 'ioredis'

/** No wait ends by itself within a test. */
export const PATIENT = { viewLeaseMs: 60_000, leaseMs: 180_000 } as const

export interface Member extends AsyncDisposable {
  readonly cluster: Cluster
  /** What it knows of others: `node filter`. */
  readonly routes: Set<string>
  readonly sessions: string[]
  /** `client id filter`. */
  readonly filters: string[]
  readonly topics: string[]
  readonly events: string[]
  silent: boolean
  /** Adopting lasts as long. */
  adopted: Promise<void>
}

interface Options {
  readonly leaseMs?: number
  readonly viewLeaseMs?: number
  readonly timeoutMs?: number
  readonly logBytesMax?: number
}

const facts = (): NodeFacts => ({ version: '1', sinceMs: 0, connections: 0 })

/** A member whose confirmations reach the others directly, as the bus brings them. */
export async function join(
  members: Map<string, Member>,
  settings: { url: string; prefix: string },
  nodeId: string,
  {
    leaseMs = 10_000,
    viewLeaseMs = 1_000,
    timeoutMs = 10_000,
    logBytesMax = 16_777_216,
  }: Options = {},
): Promise<Member> {
  const cluster = await createRedisCluster(
    { ...settings, password: undefined, ca: undefined },
    { nodeId, forms: {}, facts, leaseMs, viewLeaseMs, timeoutMs, logBytesMax, onFault: () => {} },
  )
  const member: Member = {
    cluster,
    routes: new Set(),
    sessions: [],
    filters: [],
    topics: [],
    events: [],
    silent: false,
    adopted: Promise.resolve(),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
  members.set(nodeId, member)
  const handler: ClusterHandler = {
    routes: (node, added, removed) => {
      for (const filter of removed) member.routes.delete(`${node} ${filter}`)
      for (const filter of added) member.routes.add(`${node} ${filter}`)
    },
    left: (node) => {
      member.events.push(`left ${node}`)
      for (const route of member.routes)
        if (route.startsWith(`${node} `)) member.routes.delete(route)
    },
    sessionsChanged: async (clientIds) => {
      member.sessions.push(...clientIds)
    },
    filtersChanged: async (changed) => {
      for (const { clientId, filters } of changed)
        member.filters.push(...filters.map((filter) => `${clientId} ${filter}`))
    },
    topicsChanged: async (topics) => {
      member.topics.push(...topics)
    },
    load: async () => {
      member.events.push('load')
    },
    forgotten: () => {
      member.events.push('forgotten')
    },
    adopt: async (node) => {
      member.events.push(`adopt ${node}`)
      await member.adopted
    },
    confirm: (node, version) => {
      if (!member.silent) members.get(node)?.cluster.confirmedBy(nodeId, version)
    },
    storeReplaced: () => undefined,
    leaseLost: () => member.events.push('lease lost'),
    heard: () => member.events.push('heard'),
  }
  await cluster.start(handler)
  return member
}

export function stoppable(redis: Redis): { redis: Redis } & AsyncDisposable {
  return {
    redis,
    [Symbol.asyncDispose]: async () => {
      await redis.quit()
    },
  }
}
