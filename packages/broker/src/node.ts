/**
 * One node: the stages, built and connected in flow order.
 *
 *   listen → connection → dispatch ─┬─ control (aedes) → sessions → route tables
 *                                   └─ route/publish → store, bus → deliver
 */
import { isSharedFilter } from '@breakwater/bus'
import { JoinRefused, type ClusterHandler } from '@breakwater/cluster'
import { ConfigError, type Config } from '@breakwater/config'
import { startAdminServer, startRuntimeMetrics } from '@breakwater/metrics'
import type { Logger } from 'pino'
import { adminBounds, AdminRoutes } from './admin-routes.ts'
import { Admission } from './admit/admission.ts'
import { connectionsAllowed, readProcessLimits } from './admit/file-limit.ts'
import { LoopDelay } from './admit/loop-delay.ts'
import { openBackplane } from './backplane.ts'
import { Connection, type ByteStream } from './connection/connection.ts'
import { TurnFlusher } from './connection/turn-flusher.ts'
import { ControlPlane } from './control/control-plane.ts'
import { Dispatch } from './dispatch.ts'
import { drain } from './drain/drain.ts'
import { Events, factsOf } from './events.ts'
import { Gate } from './gate.ts'
import { Gauges } from './gauges.ts'
import { createBrokerInstruments } from './instruments.ts'
import { listenFault } from './listen/listen-fault.ts'
import { startListener, type Listener, type PeerFacts } from './listen/listener.ts'
import { TlsKeeper } from './listen/tls-keeper.ts'
import { createLogger } from './log/logger.ts'
import { NodeLog } from './log/node-log.ts'
import { readNodeFiles, type NodeFiles } from './node-files.ts'
import { RightToStay } from './right-to-stay.ts'
import { Router } from './route/router.ts'
import { ServerTree } from './server-tree.ts'
import { SessionExpiry } from './session/expiry.ts'
import { Sessions } from './sessions.ts'
import { Sweep } from './sweep.ts'
import { startSharedTicketKey } from './tickets/start.ts'
import { VERSION } from './version.ts'
import { WatchedFiles } from './watched-files.ts'

export interface NodeOptions {
  readonly config: Config
  /** Default: they are read. */
  readonly files?: NodeFiles
  /** Default: JSON lines on standard output. */
  readonly logger?: Logger
}

export interface BreakwaterNode extends AsyncDisposable {
  readonly id: string
  readonly listeners: readonly Pick<Listener, 'name' | 'port' | 'url'>[]
  readonly adminPort: number
  /** PEM file of the development CA, if one is in use. */
  readonly developmentCa: string | undefined
  readonly connections: number
  /** Looks now at every file that it follows, and says in its log what became of them. */
  readFiles(): Promise<void>
}

/**
 * Starts a node; it is ready when this resolves. Disposing it stops accepting, closes its clients, waits for
 * what they sent to take effect (`shutdownTimeoutMs` at most) and frees everything.
 *
 * @throws {ConfigError} one line that names the setting and the way out
 */
export async function startNode({
  config,
  files: given,
  logger,
}: NodeOptions): Promise<BreakwaterNode> {
  await using stack = new AsyncDisposableStack()
  const files = given ?? (await readNodeFiles(config))
  const listenerNames = config.listeners.map(({ name }) => name)
  const instruments = createBrokerInstruments(listenerNames)
  const log = stack.use(
    new NodeLog({
      logger: logger ?? createLogger(config, instruments),
      limits: config.limits,
      instruments,
    }),
  )
  const loopDelay = new LoopDelay()
  stack.use(startRuntimeMetrics(instruments, { onDelay: (lateMs) => loopDelay.sample(lateMs) }))
  const events = new Events(log, instruments, listenerNames)
  const state = { ready: false, stopping: false }

  const watched = new WatchedFiles({
    pollMs: config.limits.filePollMs,
    deaf: (directory, error) => events.certificatesUnwatched(directory, error),
    readAgain: (report) => events.filesReadAgain(report),
  })
  const { developmentCa } = files
  if (developmentCa !== undefined) events.developmentCertificate(developmentCa)
  const connections = new Set<Connection>()
  const rightToStay = new RightToStay({ limits: config.limits, connections, events })
  const { revocations } = rightToStay
  const gate = stack.use(new Gate(config, files, watched, events, revocations))
  const anonymous = config.listeners.filter((listener) => listener.anonymous)
  if (anonymous.length > 0) events.anonymousAllowed(anonymous.map(({ name }) => name))

  const sinceMs = Date.now()
  const { store, bus, cluster } = await openBackplane(
    config,
    files.redis,
    events,
    instruments,
    stack,
    {
      facts: () => ({ version: VERSION, sinceMs, connections: connections.size }),
      onFenced: (clientId, epoch) => sessions.fenced(clientId, epoch),
    },
  )
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
  const sessions = new Sessions({
    config,
    store,
    bus,
    cluster,
    router,
    events,
    gate,
    rightToStay,
  })
  gate.onRules((rules) => rightToStay.rulesChanged(rules, router.sessions.values()))
  bus.onNotice((from, notice) => {
    if (notice.kind === 'revocation') revocations.stepped(notice)
    else sessions.notice(from, notice)
  })
  bus.onMessage((message) => router.deliverFromBus(message))
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
  bus.onWord((from, word) => {
    if (word.kind === 'assigned') shared.membership.look([word.filter])
    else cluster.confirmedBy(from, word.version)
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
      sessions.untold()
      router.retained.audit().catch((error: Error) => events.storeFailed('retained topics', error))
    },
    sessionsChanged: async (clientIds) => {
      for (const session of await store.filtersOf(clientIds)) router.stored.replace(session)
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
    heard: () => sessions.untold(),
    storeReplaced: () => {
      events.storeReplaced()
      revocations.doubt()
      sessions.recover().catch((error: Error) => events.storeFailed('sessions', error))
    },
  }
  await cluster.start(handler).catch((error: Error) => {
    if (!(error instanceof JoinRefused)) throw error
    throw new ConfigError(`BREAKWATER_REDIS_URL: ${error.message}`, { cause: error })
  })
  const control = stack.use(await ControlPlane.create(sessions))
  stack.use(
    new SessionExpiry({ store, router, sessions, events, expiryMs: config.sessionExpiryMs }),
  )

  await stack.use(rightToStay).start({ store, bus, cluster })
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

  const ticketKey = stack.use(await startSharedTicketKey(config, files, events))
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
      { peer, site, certificate, isSilent, claims, visit }: PeerFacts,
    ): void => {
      lastConnectionId += 1
      if (claims !== undefined) events.connectionProxied(listener.name, peer, claims)
      const connection = new Connection({
        id: lastConnectionId,
        listener: listener.name,
        socket,
        peer,
        site,
        certificate,
        isSilent,
        visit,
        frameBounds: config.limits,
        writeBounds: config.limits,
        counters,
        flusher,
        handler: dispatch,
        nowMs: performance.now(),
      })
      connections.add(connection)
      rightToStay.begins(connection, keeper?.material.trust)
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
              trustChanged: (trust) => void rightToStay.trustChanged(listener.name, trust),
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
          onAccept: () => events.connectionAccepted(listener.name),
          onStream: accept,
          onHandshake: (kind) => events.handshakeDone(kind),
          onHandshakeFailed: (peer, reason, detail) =>
            events.handshakeFailed(listener.name, peer, reason, detail),
          onRefused: (peer, reason, detail) =>
            events.arrivalRefused(listener.name, peer, reason, detail),
        }),
      ),
    )
  }

  const ready = (): { ok: boolean; detail: string } =>
    state.stopping
      ? { ok: false, detail: 'the node is stopping' }
      : { ok: state.ready, detail: state.ready ? 'ready' : 'the node is starting' }
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
  const admin = stack.use(
    await startAdminServer({
      ...config.admin,
      livez: () => ({ ok: true, detail: 'alive' }),
      readyz: ready,
      startupz: () => ({ ok: state.ready, detail: state.ready ? 'started' : 'starting' }),
      render: () => instruments.render(),
      routes,
      bounds: adminBounds(config.limits),
      onRefused: (why) => events.adminRefused(why),
    }).catch((error: Error & { code?: string }) => {
      throw listenFault('BREAKWATER_ADMIN', config.admin, error)
    }),
  )

  const open = instruments.gauge('admin_connections').cell()
  instruments.onScrape(() => (open.value = admin.connections))

  state.ready = true
  const adminUrl = `http://${config.admin.host}:${admin.port}`
  events.nodeReady(
    listeners.map(({ url }) => url),
    adminUrl,
    bus.nodeId,
  )
  const resources = stack.move()
  return {
    id: bus.nodeId,
    listeners,
    adminPort: admin.port,
    developmentCa,
    get connections(): number {
      return connections.size
    },
    readFiles: () => watched.look(),
    async [Symbol.asyncDispose](): Promise<void> {
      if (state.stopping) return
      state.stopping = true
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
      events.nodeStopped()
    },
  }
}
