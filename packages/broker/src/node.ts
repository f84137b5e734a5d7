/**
 * One node: the stages, built and joined in flow order. Each builder is a file of `node/`.
 *
 *   listen → connection → dispatch ─┬─ control (aedes) → sessions → route tables
 *                                   └─ route/publish-lane → store, bus → deliver
 */
import type { Config } from '@breakwater/config'
import type { AdminRoute } from '@breakwater/metrics'
import { AdminRoutes } from './admin/admin-routes.ts'
import { Admission } from './admit/admission.ts'
import { connectionsAllowed, readProcessLimits } from './admit/file-limit.ts'
import type { LoopDelay } from './admit/loop-delay.ts'
import { openBackplane } from './backplane/backplane.ts'
import { redisStep } from './backplane/redis-wait.ts'
import type { Connection } from './connection/connection.ts'
import { ControlPlane } from './control/control-plane.ts'
import { drain } from './drain/drain.ts'
import type { NodeFiles } from './files/node-files.ts'
import type { WatchedFiles } from './files/watched-files.ts'
import type { Listener } from './listen/listener.ts'
import { connectionsOf } from './node/connections.ts'
import { clusterHandler, handleBus } from './node/from-other-nodes.ts'
import { openListeners } from './node/listeners.ts'
import { buildStages } from './node/stages.ts'
import type { Events } from './observe/events.ts'
import { Gauges } from './observe/gauges.ts'
import type { BrokerInstruments } from './observe/instruments.ts'
import { SysTopics } from './observe/sys-topics.ts'
import { SessionExpiry } from './session/expiry.ts'
import { VERSION } from './version.ts'

/** What a node is built of beside its configuration; it outlives attempts that fail. */
export interface NodeParts {
  readonly config: Config
  readonly files: NodeFiles
  readonly instruments: BrokerInstruments
  readonly events: Events
  readonly loopDelay: LoopDelay
  readonly watched: WatchedFiles
}

/** A node that serves. Disposing it is its orderly end. */
export interface OpenNode extends AsyncDisposable {
  readonly id: string
  readonly listeners: readonly Pick<Listener, 'name' | 'port' | 'url'>[]
  readonly routes: readonly AdminRoute[]
  readonly connections: number
}

/**
 * Builds the stages and opens the listeners. `stopping`: called when the end begins.
 *
 * @throws {ConfigError} one line that names the setting and the way out
 * @throws {RedisAwaited} Redis cannot be used now; everything is freed, and it may be tried again
 */
export async function openNode(parts: NodeParts, stopping: () => void): Promise<OpenNode> {
  const { config, instruments, events } = parts
  const { limits } = config
  await using stack = new AsyncDisposableStack()
  const connections = new Set<Connection>()
  const sinceMs = Date.now()
  let isStopping = false
  const common = { ...parts, connections, isStopping: () => isStopping }

  // 1. Redis, first, so that an attempt without it costs nothing else.
  const backplane = await redisStep(
    openBackplane(config, parts.files.redis, events, instruments, stack, {
      facts: () => ({ version: VERSION, sinceMs, connections: connections.size }),
      onFenced: (clientId, epoch) => stages.sessions.fenced(clientId, epoch),
    }),
  )
  const { store, bus, cluster } = backplane

  // 2. The stages, what other nodes tell them, and what is stored.
  const stages = buildStages({ ...common, backplane }, stack)
  const { enforcement, router, sessions } = stages
  handleBus({ bus, cluster, events }, stages)
  const { nodeLeaseMs } = limits
  await redisStep(cluster.start(clusterHandler({ ...common, store, bus, nodeLeaseMs }, stages)))
  const { sessionExpiryMs: expiryMs } = config
  stack.use(new SessionExpiry({ store, router, sessions, events, expiryMs }))
  await redisStep(stack.use(enforcement).start(backplane))

  // 3. Clients: how many at once, their connections, and their listeners.
  const control = stack.use(
    await ControlPlane.create({
      connect: sessions.connect,
      subscriptions: sessions.subscriptions,
      rate: limits,
      ratePauses: events.readPauses['control-rate'],
      unexpected: (what, error) => events.unexpected(what, error),
    }),
  )
  const acceptOf = connectionsOf({ ...common, control, stages }, stack)
  const connectionsMax = connectionsAllowed(limits.connectionsMax, readProcessLimits())
  if (connectionsMax < limits.connectionsMax) events.connectionsLimited(connectionsMax)
  const { loopDelay } = parts
  const admission = stack.use(new Admission({ limits, connectionsMax, loopDelay }))
  const gauges = new Gauges(instruments, { connections, admission, router, store, events })
  gauges.register()
  const nodeId = bus.nodeId
  if (config.sysIntervalMs > 0)
    stack.use(
      new SysTopics({
        nodeId,
        intervalMs: config.sysIntervalMs,
        instruments,
        listeners: config.listeners.map(({ name }) => name),
        events,
        gauges,
        router,
        cluster,
      }),
    )
  const listeners = await openListeners({ ...common, admission, stages, acceptOf }, stack)

  // 4. Operators.
  const { revocations } = enforcement
  const { adminToken: token } = parts.files
  const { routes } = stack.use(
    new AdminRoutes({ ...common, token, nodeId, cluster, store, router, sessions, revocations }),
  )

  const resources = stack.move()
  return {
    id: nodeId,
    listeners,
    routes,
    get connections(): number {
      return connections.size
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (isStopping) return
      isStopping = true
      stopping()
      events.nodeStopping(connections.size)
      for (const listener of listeners) listener.stop()
      admission.stop()
      await drain({
        connections,
        router,
        timeoutMs: config.shutdownTimeoutMs,
        clientsPerSecond: bus.clustered ? limits.drainClientsPerSecond : Infinity,
        onProgress: (clients) => events.draining(clients),
      })
      await sessions.stop()
      await resources.disposeAsync()
    },
  }
}
