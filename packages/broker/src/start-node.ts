/**
 * Starts a node: files, log and admin server, then everything that needs Redis, as soon as Redis is there. Once it
 * serves, nothing that Redis does ends it.
 */
import type { Config } from '@breakwater/config'
import { startRuntimeMetrics } from '@breakwater/metrics'
import type { Logger } from 'pino'
import { AdminFront } from './admin/admin-front.ts'
import { LoopDelay } from './admit/loop-delay.ts'
import { Events } from './observe/events.ts'
import { createBrokerInstruments } from './observe/instruments.ts'
import { createLogger } from './log/logger.ts'
import { NodeLog } from './log/node-log.ts'
import { openNode, type OpenNode } from './node.ts'
import { readNodeFiles, type NodeFiles } from './files/node-files.ts'
import { RedisFiles } from './backplane/redis-files.ts'
import { untilRedis } from './backplane/redis-wait.ts'
import { WatchedFiles } from './files/watched-files.ts'

export interface NodeOptions {
  readonly config: Config
  /** Default: they are read. */
  readonly files?: NodeFiles
  /** Default: JSON lines on standard output. */
  readonly logger?: Logger
  /** Ends a start that waits for Redis. One that has come to its end is ended by disposing the node. */
  readonly signal?: AbortSignal
}

export interface BreakwaterNode extends AsyncDisposable, Omit<OpenNode, 'routes'> {
  readonly adminPort: number
  /** PEM file of the development CA, if one is in use. */
  readonly developmentCa: string | undefined
  /** Looks now at every file that it follows, and says in its log what became of them. */
  readFiles(): Promise<void>
}

/**
 * Starts a node; it is ready when this resolves. The admin server answers before, and says what is missing: a
 * Redis that cannot be used is waited for. Disposing the node stops accepting, closes its clients, waits for what
 * they sent to take effect (`shutdownTimeoutMs` at most) and frees everything.
 *
 * @throws {ConfigError} one line that names the setting and the way out
 * @throws {Error} the reason of `signal`
 */
export async function startNode({
  config,
  files: given,
  logger,
  signal,
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
  stack.use(events.redis)
  const trouble = (): string | undefined => events.redis.trouble
  const front = stack.use(await AdminFront.open({ config, events, instruments, trouble }))
  const adminUrl = `http://${config.admin.host}:${front.port}`
  events.adminReady(adminUrl)

  const { developmentCa } = files
  if (developmentCa !== undefined) events.developmentCertificate(developmentCa)
  const anonymous = config.listeners.filter((listener) => listener.anonymous)
  if (anonymous.length > 0) events.anonymousAllowed(anonymous.map(({ name }) => name))
  if (files.redis !== undefined) instruments.gauge('redis_up').cell().set(0)
  const watched = new WatchedFiles({
    pollMs: config.limits.filePollMs,
    deaf: (directory, error) => events.certificatesUnwatched(directory, error),
    readAgain: (report) => events.filesReadAgain(report),
  })
  const redis =
    config.redis === undefined || files.redis === undefined
      ? undefined
      : stack.use(new RedisFiles({ config: config.redis, settings: files.redis, watched, events }))
  events.redis.onFault = (kind) => redis?.failed(kind)
  let node: OpenNode
  try {
    const parts = { config, files: { ...files, redis }, instruments, events, loopDelay, watched }
    const stopping = (): void => front.missing('the node is stopping')
    node = await untilRedis(() => openNode(parts, stopping), {
      events: events.redis,
      signal,
      waiting: (why) => front.missing(why),
    })
  } catch (error) {
    if (signal?.aborted === true) events.nodeStopped()
    throw error
  }
  front.serving(node.routes)
  events.nodeReady(
    node.listeners.map(({ url }) => url),
    adminUrl,
    node.id,
  )
  const resources = stack.move()
  let ended: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await node[Symbol.asyncDispose]()
    await resources[Symbol.asyncDispose]()
    events.nodeStopped()
  }
  return {
    id: node.id,
    listeners: node.listeners,
    adminPort: front.port,
    developmentCa,
    get connections(): number {
      return node.connections
    },
    readFiles: () => watched.look(),
    [Symbol.asyncDispose]: () => (ended ??= end()),
  }
}
