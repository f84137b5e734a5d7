import { Redis, type RedisOptions } from 'ioredis'
import { parseRedisAddress, redactUrl, type RedisHost } from '@breakwater/config'
import { connectorTo } from './connector.ts'

export interface RedisSettings {
  /** One of the forms of `parseRedisAddress`. */
  readonly url: string
  /** Takes the place of one in the URL. */
  readonly password: string | undefined
  /** PEM of the authority that signed the certificates of the servers and sentinels. */
  readonly ca: string | undefined
  /** PEM of what this client shows to them; both or none. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Of the sentinels, who have one of their own. */
  readonly sentinelPassword?: string | undefined
  readonly prefix: string
}

/**
 * - `data`: writes that must not be sent twice behind our back: no offline queue, no automatic resend.
 *   Who uses it retries in order itself (`TurnQueue`).
 * - `control`: few, idempotent commands; each waits for a lost connection to come back, for `timeoutMs`.
 * - `subscriber`: listens to channels. Its owner subscribes again at each `ready`: what ioredis would do by
 *   itself is an unhandled rejection when the connection is closed in the meantime.
 */
export type RedisRole = 'data' | 'control' | 'subscriber'

export interface ConnectionOptions {
  /** For foreign packages that name their keys themselves; our own names come from `keys.ts`. */
  readonly keyPrefix?: string
  /** After so long without an answer a `control` command fails. */
  readonly timeoutMs?: number
  /** Of a cluster: where the server is now; asked at each attempt to connect. */
  readonly whereabouts?: () => RedisHost | undefined
  /** An answer that says that the server is not, or no longer, the right one: it is looked for again. */
  readonly isMisplaced?: (error: Error) => boolean
}

const CONNECT_TIMEOUT_MS = 5_000
/** A connection that is given up says goodbye and is not waited for. */
const DISCONNECT_TIMEOUT_MS = 100

/** Between two attempts to connect again: from 50 ms, doubled, up to 2 s, with jitter. */
function reconnectDelayMs(attempt: number): number {
  const delay = Math.min(2_000, 50 * 2 ** Math.min(attempt, 6))
  return delay / 2 + Math.random() * (delay / 2)
}

const SENT_ONCE = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
} as const

function roleOptions(role: RedisRole, { timeoutMs, whereabouts }: ConnectionOptions): RedisOptions {
  if (role === 'data') return SENT_ONCE
  if (role === 'subscriber') return { maxRetriesPerRequest: null, autoResubscribe: false }
  // This server may not come back, and another one have its keys: `Servers` waits for that one.
  if (whereabouts !== undefined)
    return { ...SENT_ONCE, ...(timeoutMs === undefined ? {} : { commandTimeout: timeoutMs }) }
  return timeoutMs === undefined
    ? { maxRetriesPerRequest: 3 }
    : { maxRetriesPerRequest: null, commandTimeout: timeoutMs }
}

/** One connection, not yet connected; see `connectOrFail`. @throws {Error} the URL is none */
export function createRedis(
  settings: RedisSettings,
  role: RedisRole,
  options: ConnectionOptions = {},
): Redis {
  const { keyPrefix, whereabouts, isMisplaced } = options
  return new Redis({
    ...placeOptions(settings),
    ...roleOptions(role, options),
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    ...(whereabouts === undefined ? {} : { Connector: connectorTo(whereabouts) }),
    ...(isMisplaced === undefined ? {} : { reconnectOnError: isMisplaced }),
    lazyConnect: true,
    connectionName: `breakwater-${role}`,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    // A user with few rights would be refused, and the refusal logged at the server.
    disableClientInfo: true,
    retryStrategy: reconnectDelayMs,
  })
}

function placeOptions(settings: RedisSettings): RedisOptions {
  const { ca, cert, key, sentinelPassword } = settings
  const { tls, hosts, master, username, password, database } = parseRedisAddress(settings.url)
  const secret = settings.password ?? password
  const common = {
    db: database,
    ...(username === undefined ? {} : { username }),
    ...(secret === undefined ? {} : { password: secret }),
  }
  const secure = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  }
  if (master === undefined) return { ...common, ...hosts[0], ...(tls ? { tls: secure } : {}) }
  return {
    ...common,
    name: master,
    sentinels: [...hosts],
    // Hears of a failover from the sentinels, also where the old master still answers.
    failoverDetector: true,
    sentinelRetryStrategy: reconnectDelayMs,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls ? { tls: secure, sentinelTLS: secure, enableTLSForSentinelMode: true } : {}),
  }
}

/**
 * Connects, and turns the first failure into one line instead of endless attempts.
 *
 * @throws {Error} with the address and the reason, for example `redis://127.0.0.1:6379: ECONNREFUSED`
 */
export async function connectOrFail(
  redis: Redis,
  settings: RedisSettings,
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<void> {
  // An `error` event without a listener would be printed; the reason is in the rejection below.
  let last: Error | undefined
  const remember = (error: Error): void => {
    last ??= error
  }
  redis.on('error', remember)
  const impatience = setTimeout(() => {
    last ??= new Error(`no answer within ${timeoutMs} ms`)
    redis.disconnect()
  }, timeoutMs)
  try {
    await redis.connect()
    redis.off('error', remember)
  } catch (error) {
    // The listener stays: what was under way may still fail.
    redis.disconnect()
    const reason = reasonOf(last ?? (error as Error))
    throw new Error(`${redactUrl(settings.url)}: ${reason}`, { cause: error })
  } finally {
    clearTimeout(impatience)
  }
}

/** In few words: a code where there is one. */
export function reasonOf(error: Error): string {
  return (error as { code?: string }).code ?? error.message
}
