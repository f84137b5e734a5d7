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
  /** Moves a slot and its keys, as `redis-cli --cluster reshard` does. */
  moveSlot(slot: number, to: RedisServer): Promise<void>
  /** Kills the master of this slot once its replica has everything. */
  killMaster(slot: number): Promise<void>
  /** Resolves when every server that is left has a master for this slot, and the cluster is whole. */
  failedOver(slot: number): Promise<void>
}

const MASTERS = 3
const SLOTS = 16_384
/** After so long without an answer a master is replaced. */
const NODE_TIMEOUT_MS = 2_000
const READY_TIMEOUT_MS = 30_000
const STEP_MS = 20
const MIGRATED_KEYS = 100

export async function startRedisClusterServers({
  replicas = 0,
  args = [],
}: RedisClusterOptions = {}): Promise<RedisClusterServers> {
  await using stack = new AsyncDisposableStack()
  const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`]
  const servers: RedisServer[] = []
  for (let index = 0; index < MASTERS * (1 + replicas); index += 1)
    servers.push(stack.use(await startRedisProcess([...own, ...args])))
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
    async moveSlot(slot, to) {
      const from = await masterOf(slot)
      if (from !== to) await moveSlot(slot, from, to, clientOf, masters)
    },
    async killMaster(slot) {
      const master = await masterOf(slot)
      const client = clientOf(master)
      const wanted = await offsetOf(client)
      const id = String(await client.call('cluster', 'myid'))
      for (const replica of replicaServers) {
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
  from: RedisServer,
  to: RedisServer,
  clientOf: (server: RedisServer) => Redis,
  masters: readonly RedisServer[],
): Promise<void> {
  const [source, target] = [clientOf(from), clientOf(to)]
  const [sourceId, targetId] = (await Promise.all(
    [source, target].map((redis) => redis.call('cluster', 'myid')),
  )) as [string, string]
  await target.call('cluster', 'setslot', slot, 'importing', sourceId)
  await source.call('cluster', 'setslot', slot, 'migrating', targetId)
  for (;;) {
    const keys = await source.call('cluster', 'getkeysinslot', slot, MIGRATED_KEYS)
    if ((keys as string[]).length === 0) break
    const { port } = new URL(to.url)
    const migrated = ['127.0.0.1', port, '', '0', '5000', 'KEYS', ...(keys as string[])]
    await source.call('migrate', ...migrated)
  }
  // The new owner first, as redis-cli does: nobody sends away what nobody takes.
  for (const server of [to, from, ...masters.filter((each) => each !== to && each !== from)])
    await clientOf(server).call('cluster', 'setslot', slot, 'node', targetId)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('the cluster did not agree in time')
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
}
