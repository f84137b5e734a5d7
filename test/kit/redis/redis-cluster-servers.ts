/** A Redis Cluster of servers of this machine: three masters, with replicas where a test needs them. */
import { Redis } from 'ioredis'
import { startRedisProcess, type RedisServer } from './redis-process.ts'

export interface RedisClusterOptions {
  /** Of each master. */
  readonly replicas?: number
  readonly args?: readonly string[]
}

export interface RedisClusterServers extends AsyncDisposable {
  /** For BREAKWATER_REDIS_URL. */
  readonly url: string
  readonly prefix: string
  readonly masters: readonly RedisServer[]
  readonly replicas: readonly RedisServer[]
  /** The server that has this slot now. */
  masterOf(slot: number): Promise<RedisServer>
  /**
   * Moves a slot and its keys to the next master, as `redis-cli --cluster reshard` does. `halfway`: after the
   * first key.
   */
  moveSlot(slot: number, halfway?: () => Promise<void>): Promise<void>
  /** Each replica takes the place of its master, which lives on as its replica. */
  changePlaces(): Promise<void>
  /** Kills the master of this slot once its replica has everything. */
  killMaster(slot: number): Promise<void>
  /** Resolves when every server that is left has a master for this slot, and the cluster is whole. */
  failedOver(slot: number): Promise<void>
}

const MASTERS = 3
const SLOTS = 16_384
/** The time without an answer after which a master is replaced. */
const NODE_TIMEOUT_MS = 4_000
const READY_TIMEOUT_MS = 30_000
const STEP_MS = 20
const MIGRATED_KEYS = 100
const MIGRATE_TIMEOUT_MS = 10_000

export async function startRedisClusterServers({
  replicas = 0,
  args = [],
}: RedisClusterOptions = {}): Promise<RedisClusterServers> {
  await using stack = new AsyncDisposableStack()
  const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`]
  // Replicas are wanted at once.
  own.push('--repl-diskless-sync-delay', '0')
  const servers = await Promise.all(
    Array.from({ length: MASTERS * (1 + replicas) }, async () =>
      stack.use(await startRedisProcess([...own, ...args])),
    ),
  )
  const clients = new Map<RedisServer, Redis>()
  for (const server of servers) {
    const client = stack.adopt(new Redis(server.url), (redis) => redis.disconnect())
    client.on('error', () => undefined)
    clients.set(server, client)
  }
  const clientOf = (server: RedisServer): Redis => clients.get(server) as Redis
  const masters = servers.slice(0, MASTERS)
  const replicaServers = servers.slice(MASTERS)
  await form(masters.map(clientOf), replicaServers.map(clientOf))
  const running = (): RedisServer[] => servers.filter((each) => clientOf(each).status === 'ready')
  const masterOf = async (slot: number): Promise<RedisServer> => {
    for (const server of running()) {
      const own = await clientOf(server).call('cluster', 'nodes')
      if (servesSlot(String(own), slot)) return server
    }
    throw new Error(`nobody serves slot ${slot}`)
  }
  const resources = stack.move()
  return {
    url: `redis-cluster://${servers.map((server) => new URL(server.url).host).join(',')}`,
    prefix: 'breakwater:',
    masters,
    replicas: replicaServers,
    masterOf,
    async moveSlot(slot, halfway = async () => undefined) {
      await agreed(masters.map(clientOf))
      const from = await masterOf(slot)
      const place = masters.indexOf(from)
      const others = [...masters.slice(place + 1), ...masters.slice(0, place)]
      await moveSlot(slot, [clientOf(from), ...others.map(clientOf)], halfway)
    },
    async changePlaces() {
      for (const redis of replicaServers.map(clientOf)) {
        await redis.call('cluster', 'failover')
        await until(async () => (await redis.info('replication')).includes('role:master'))
      }
      const all = servers.map(clientOf)
      await agreed(all)
      for (const redis of all.slice(0, MASTERS))
        await until(async () => (await redis.info('replication')).includes('master_link_status:up'))
    },
    async killMaster(slot) {
      const master = await masterOf(slot)
      const client = clientOf(master)
      const wanted = await offsetOf(client)
      const id = String(await client.call('cluster', 'myid'))
      for (const replica of running()) {
        const nodes = String(await clientOf(replica).call('cluster', 'nodes'))
        if (new RegExp(`myself,slave ${id} `).test(nodes))
          await until(async () => (await offsetOf(clientOf(replica))) >= wanted)
      }
      client.disconnect()
      await master[Symbol.asyncDispose]()
    },
    async failedOver(slot) {
      await until(async () => {
        for (const server of running()) {
          const info = String(await clientOf(server).call('cluster', 'info'))
          if (!info.includes('cluster_state:ok')) return false
        }
        return await masterOf(slot).then(
          () => true,
          () => false,
        )
      })
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function form(masters: readonly Redis[], replicas: readonly Redis[]): Promise<void> {
  const all = [...masters, ...replicas]
  const [first] = masters as [Redis]
  for (const [index, redis] of all.entries()) {
    await redis.call('cluster', 'set-config-epoch', index + 1)
    if (redis !== first)
      await redis.call('cluster', 'meet', '127.0.0.1', Number(first.options.port))
  }
  const share = Math.ceil(SLOTS / masters.length)
  for (const [index, redis] of masters.entries()) {
    const last = Math.min(SLOTS, (index + 1) * share) - 1
    await redis.call('cluster', 'addslotsrange', index * share, last)
  }
  for (const redis of all) await until(async () => (await known(redis)) === all.length)
  for (const [index, redis] of replicas.entries()) {
    const master = masters[index % masters.length] as Redis
    await redis.call('cluster', 'replicate', String(await master.call('cluster', 'myid')))
  }
  for (const redis of all)
    await until(async () => {
      if (!String(await redis.call('cluster', 'info')).includes('cluster_state:ok')) return false
      const nodes = String(await redis.call('cluster', 'nodes'))
      return (
        nodes.split('\n').filter((line) => / slave |,slave /.test(line)).length === replicas.length
      )
    })
  for (const redis of replicas)
    await until(async () => (await redis.info('replication')).includes('master_link_status:up'))
}

/**
 * All of them know of the same owners, since the same moves: one that takes a slot before it has heard of the
 * last one may lose it again to a node that claims it with a later epoch.
 */
async function agreed(masters: readonly Redis[]): Promise<void> {
  await until(async () => {
    const views = await Promise.all(
      masters.map(async (redis) => {
        const nodes = String(await redis.call('cluster', 'nodes')).split('\n')
        // Id, epoch of its claims, slots.
        const claims = nodes.map((line) =>
          line.split(' ').filter((_, at) => at === 0 || at === 6 || at > 7),
        )
        return claims
          .map((claim) => claim.join(' '))
          .toSorted()
          .join('\n')
      }),
    )
    return new Set(views).size === 1
  })
}

async function offsetOf(redis: Redis): Promise<number> {
  return Number(/^(?:slave|master)_repl_offset:(\d+)/m.exec(await redis.info('replication'))?.[1])
}

async function known(redis: Redis): Promise<number> {
  const info = String(await redis.call('cluster', 'info'))
  return Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1])
}

/** Whether the node that says this of itself is the master of the slot. */
function servesSlot(nodes: string, slot: number): boolean {
  const own = nodes.split('\n').find((line) => line.includes('myself,master'))
  const ranges = own?.split(' ').slice(8) ?? []
  return ranges.some((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return !range.startsWith('[') && Number(first) <= slot && slot <= Number(last)
  })
}

async function moveSlot(
  slot: number,
  masters: readonly Redis[],
  halfway: () => Promise<void>,
): Promise<void> {
  const [source, target, ...others] = masters as [Redis, Redis]
  const [sourceId, targetId] = (await Promise.all(
    [source, target].map((redis) => redis.call('cluster', 'myid')),
  )) as [string, string]
  await target.call('cluster', 'setslot', slot, 'importing', sourceId)
  await source.call('cluster', 'setslot', slot, 'migrating', targetId)
  for (let first = true; ; first = false) {
    const count = first ? 1 : MIGRATED_KEYS
    const keys = (await source.call('cluster', 'getkeysinslot', slot, count)) as string[]
    if (keys.length === 0) break
    const to = ['127.0.0.1', Number(target.options.port), '', 0, MIGRATE_TIMEOUT_MS]
    await source.call('migrate', ...to, 'KEYS', ...keys)
    if (first) await halfway()
  }
  // The new owner first, as redis-cli does: no node redirects a client to a node that refuses the slot.
  for (const redis of [target, source, ...others])
    await redis.call('cluster', 'setslot', slot, 'node', targetId)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('the cluster did not agree in time')
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
}
