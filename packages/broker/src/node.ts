/**
 * One node: the stages, built and connected in flow order.
 *
 *   listen → connection → dispatch ─┬─ control (aedes) → sessions → route tables
 *                                   └─ route/publish → store, bus → deliver
 */
import { isSharedFilter } from '@breakwater/mqtt'
import type { ClusterHandler } from '@breakwater/cluster'
import type { Config } from '@breakwater/config'
import type { AdminRoute } from '@breakwater/metrics'
import { AdminRoutes } from './admin/admin-routes.ts'
import { Admission } from './admit/admission.ts'
import { connectionsAllowed, readProcessLimits } from './admit/file-limit.ts'
import type { LoopDelay } from './admit/loop-delay.ts'
import { openBackplane } from './backplane/backplane.ts'
import type { ByteStream } from './connection/byte-stream.ts'
import { Connection } from './connection/connection.ts'
import { TurnFlusher } from './connection/turn-flusher.ts'
import { ControlPlane } from './control/control-plane.ts'
import { Dispatch } from './dispatch.ts'
import { drain } from './drain/drain.ts'
import { factsOf, type Events } from './observe/events.ts'
import { AccessControl } from './auth/access-control.ts'
import { Gauges } from './observe/gauges.ts'
import type { BrokerInstruments } from './observe/instruments.ts'
import { startListener, type Listener, type PeerFacts } from './listen/listener.ts'
import { TlsKeeper } from './listen/tls-keeper.ts'
import type { NodeFiles } from './files/node-files.ts'
import { redisStep } from './backplane/redis-wait.ts'
import { RevocationEnforcement } from './revocation/revocation-enforcement.ts'
import { Router } from './route/router.ts'
import { ServerTree } from './observe/sys-topics.ts'
import { SessionExpiry } from './session/expiry.ts'
import { SessionLifecycle } from './lifecycle/session-lifecycle.ts'
import { Sweep } from './connection/sweep.ts'
import { startSharedTicketKey } from './tickets/start.ts'
import { VERSION } from './version.ts'
import type { WatchedFiles } from './files/watched-files.ts'

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
export async function openNode(
  { config, files, instruments, events, loopDelay, watched }: NodeParts,
  stopping: () => void,
): Promise<OpenNode> {
  await using stack = new AsyncDisposableStack()
  const listenerNames = config.listeners.map(({ name }) => name)
  const state = { stopping: false }
  const connections = new Set<Connection>()
  const sinceMs = Date.now()
  // First, so that an attempt without Redis costs nothing else.
  const { store, bus, cluster } = await redisStep(
    openBackplane(config, files.redis, events, instruments, stack, {
      facts: () => ({ version: VERSION, sinceMs, connections: connections.size }),
      onFenced: (clientId, epoch) => sessions.fenced(clientId, epoch),
    }),
  )
  const enforcement = new RevocationEnforcement({ limits: config.limits, connections, events })
  const { revocations } = enforcement
  const access = stack.use(new AccessControl(config, files, watched, events, revocations))
  const router = new Router({
    store,
    bus,
    cluster,
    events,
    shapesPerNodeMax: config.limits.shapesPerNodeMax,
    sharedStrategy: config.sharedStrategy,
    inflightMessagesMax: config.limits.inflightMessagesMax,
  })
  const shared = stack.use(router.shared)
  const sessions = new SessionLifecycle({
    config,
    store,
    bus,
    cluster,
    router,
    events,
    access,
    enforcement,
  })
  access.onRules((rules) => enforcement.rulesChanged(rules, router.sessions.values()))
  bus.onNotice((from, notice) => {
    if (notice.kind === 'revocation') revocations.stepped(notice)
    else sessions.notice(from, notice)
  })
  bus.onMessage((message) => router.deliverFromNode(message))
  const resync = (): void => {
    revocations.refresh()
    sessions.resync().catch((error: Error) => events.storeFailed('resync', error))
  }
  bus.onResync(resync)
  const restore = (): void => {
    if (state.stopping) return
    sessions.restore().catch((error: Error) => events.storeFailed('owners', error))
  }
  bus.onGap((why) => sessions.missed('bus-overflow', why))
  bus.onShared((message) => shared.deliverFromBus(message))
  bus.onSignal((from, signal) => {
    if (signal.kind === 'assigned') shared.membership.look([signal.filter])
    else cluster.confirmedBy(from, signal.version)
  })
  const handler: ClusterHandler = {
    routes: (nodeId, added, removed) => {
      for (const filter of removed)
        if (isSharedFilter(filter)) shared.table.deleteNode(filter, nodeId)
        else router.routes.delete(nodeId, filter)
      for (const filter of added)
        if (isSharedFilter(filter)) shared.table.addNode(filter, nodeId)
        else router.routes.add(nodeId, filter)
    },
    left: (nodeId, how) => {
      router.routes.clear(nodeId)
      if (how === 'told-again') shared.table.clearNode(nodeId)
      else shared.membership.gone(nodeId)
      if (how !== 'died') return
      sessions.lookIntoQueues()
      router.retained.audit().catch((error: Error) => events.storeFailed('retained topics', error))
    },
    sessionsChanged: async (clientIds) => {
      for (const session of await store.filtersOf(clientIds)) router.stored.replace(session)
    },
    filtersChanged: async (changed) => {
      for (const [index, found] of (await store.filtersAmong(changed)).entries())
        router.stored.update(changed[index]?.filters ?? [], found)
    },
    topicsChanged: (topics) => router.retained.refresh(topics),
    load: async () => {
      await router.stored.load(store)
      await router.retained.load()
    },
    confirm: (nodeId, version) => bus.tell(nodeId, { kind: 'confirmed', version }),
    adopt: (nodeId, calledOff) => sessions.adopt(nodeId, calledOff),
    forgotten: () => {
      // Once more when whoever was adopting clients of this node has heard that it is back.
      for (const afterMs of [0, config.limits.nodeLeaseMs]) setTimeout(restore, afterMs).unref()
    },
    leaseLost: () => sessions.missed('lease-lost'),
    heard: () => sessions.lookIntoQueues(),
    storeReplaced: () => {
      events.storeReplaced()
      revocations.mayHaveLost()
      sessions.recover().catch((error: Error) => events.storeFailed('sessions', error))
    },
  }
  await redisStep(cluster.start(handler))
  const control = stack.use(await ControlPlane.create(sessions))
  stack.use(
    new SessionExpiry({ store, router, sessions, events, expiryMs: config.sessionExpiryMs }),
  )

  await redisStep(stack.use(enforcement).start({ store, bus, cluster }))
  const sweep = stack.use(new Sweep(connections, config.limits))
  const dispatch = new Dispatch({
    events,
    limits: config.limits,
    connect: (connection, frame) => control.connect(connection, frame),
    closed: (connection, client, reason, detail) => {
      connections.delete(connection)
      sweep.closing(connection)
      events.connectionClosed(factsOf(connection), reason, detail)
      if (client !== undefined) sessions.end(client, reason)
    },
  })
  const connectionsMax = connectionsAllowed(config.limits.connectionsMax, readProcessLimits())
  if (connectionsMax < config.limits.connectionsMax) events.connectionsLimited(connectionsMax)
  const admission = stack.use(new Admission({ limits: config.limits, connectionsMax, loopDelay }))
  const gauges = new Gauges(instruments, { connections, admission, router, store, events })
  gauges.register()
  if (config.sysIntervalMs > 0)
    stack.use(
      new ServerTree({
        nodeId: bus.nodeId,
        intervalMs: config.sysIntervalMs,
        instruments,
        listeners: listenerNames,
        events,
        gauges,
        router,
        cluster,
      }),
    )

  const ticketKey = stack.use(await redisStep(startSharedTicketKey(config, files, watched, events)))
  const flusher = new TurnFlusher()
  const bytes = instruments.counter('bytes_total')
  let lastConnectionId = 0
  const listeners: Listener[] = []
  for (const listener of config.listeners) {
    const counters = {
      bytes: bytes.cell({ direction: 'out', listener: listener.name }),
      bytesIn: bytes.cell({ direction: 'in', listener: listener.name }),
      writes: events.writes,
    }
    const accept = (
      socket: ByteStream,
      { peer, network, certificate, isSilent, claims, permit }: PeerFacts,
    ): void => {
      lastConnectionId += 1
      if (claims !== undefined) events.connectionProxied(listener.name, peer, claims)
      const connection = new Connection({
        id: lastConnectionId,
        listener: listener.name,
        socket,
        peer,
        network,
        certificate,
        isSilent,
        permit,
        frameBounds: config.limits,
        writeBounds: config.limits,
        counters,
        flusher,
        handler: dispatch,
        nowMs: performance.now(),
      })
      connections.add(connection)
      enforcement.begins(connection, keeper?.material.trust)
      if (state.stopping) connection.close('shutting-down')
    }
    const served = files.tls.get(listener)
    const keeper =
      served === undefined
        ? undefined
        : stack.use(
            new TlsKeeper({
              listener: listener.name,
              ...served,
              watched,
              events,
              trustChanged: (trust) => void enforcement.trustChanged(listener.name, trust),
            }),
          )
    if (keeper !== undefined) ticketKey?.serve(keeper)
    listeners.push(
      stack.use(
        await startListener({
          config: listener,
          admission,
          addressesAreReal: config.clientAddress === 'real',
          keeper,
          handshakeTimeoutMs: config.limits.handshakeTimeoutMs,
          packetBytesMax: config.limits.packetBytesMax,
          connectBytesMax: config.limits.connectBytesMax,
          onAccept: () => events.connectionAccepted(listener.name),
          onStream: accept,
          onConnack: (code) => events.connackSent(code),
          onHandshake: (kind) => events.handshakeDone(kind),
          onHandshakeFailed: (peer, reason, detail) =>
            events.handshakeFailed(listener.name, peer, reason, detail),
          onRefused: (peer, reason, detail) =>
            events.arrivalRefused(listener.name, peer, reason, detail),
        }),
      ),
    )
  }

  const { routes } = stack.use(
    new AdminRoutes({
      config,
      token: files.adminToken,
      watched,
      events,
      nodeId: bus.nodeId,
      cluster,
      store,
      connections,
      router,
      sessions,
      revocations,
    }),
  )
  const resources = stack.move()
  return {
    id: bus.nodeId,
    listeners,
    routes,
    get connections(): number {
      return connections.size
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (state.stopping) return
      state.stopping = true
      stopping()
      events.nodeStopping(connections.size)
      for (const listener of listeners) listener.stop()
      admission.stop()
      await drain({
        connections,
        router,
        timeoutMs: config.shutdownTimeoutMs,
        clientsPerSecond: bus.clustered ? config.limits.drainClientsPerSecond : Infinity,
        onProgress: (clients) => events.draining(clients),
      })
      await sessions.stop()
      await resources.disposeAsync()
    },
  }
}
