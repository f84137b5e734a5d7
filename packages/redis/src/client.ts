import { Redis, type RedisOptions } from 'ioredis'
import { parseRedisAddress, redactUrl, type RedisHost } from '@breakwater/config'
import { connectorTo, sentinelConnector, type Credentials } from './connector.ts'
import { faultOf } from './fault.ts'

/**
 * Where Redis is and who connects. What comes from files is read at each attempt to connect, so it may change;
 * connections that were made from one object belong together: when one learns that its server is no longer the
 * right one, all look for it again.
 */
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
  /** Of a cluster: an answer that says that the key is elsewhere; the server is looked for again. */
  readonly isMisplaced?: (error: Error) => boolean
  /** It is only read or watched: a replica will do. */
  readonly anyRole?: boolean
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

/** Connections of one place: those that are not closed for good. */
const siblings = new WeakMap<RedisSettings, Set<Redis>>()

/** The server's word that it is not, or no longer, the one that writes go to. */
const DEMOTED = /^(READONLY|LOADING|MASTERDOWN|UNBLOCKED) /

/** One connection, not yet connected; see `connectOrFail`. @throws {Error} the URL is none */
export function createRedis(
  settings: RedisSettings,
  role: RedisRole,
  options: ConnectionOptions = {},
): Redis {
  const { keyPrefix, whereabouts, isMisplaced } = options
  const family = siblings.get(settings) ?? new Set()
  siblings.set(settings, family)
  const redis = new Redis({
    ...placeOptions(settings, role, options),
    ...roleOptions(role, options),
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    reconnectOnError: (error) => {
      if (!DEMOTED.test(error.message)) return isMisplaced?.(error) === true
      // Of a cluster the others have servers of their own.
      if (whereabouts === undefined) renew(family, redis)
      return true
    },
    lazyConnect: true,
    // The handshake has done it, and says what was wrong. It names the connection, too: a name that the client
    // library sets makes a connection ready for ever that ends before the answer.
    enableReadyCheck: false,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    // A user with few rights would be refused, and the refusal logged at the server.
    disableClientInfo: true,
    retryStrategy: reconnectDelayMs,
  })
  family.add(redis)
  redis.on('end', () => family.delete(redis))
  redis.on('connecting', () => family.add(redis))
  return redis
}

/** A server that one connection has found to be the wrong one is left by the others, too. */
function renew(family: ReadonlySet<Redis>, first: Redis): void {
  for (const redis of family)
    if (redis !== first && redis.status === 'ready') redis.disconnect(true)
}

function placeOptions(
  settings: RedisSettings,
  role: RedisRole,
  options: ConnectionOptions,
): RedisOptions {
  const { tls, hosts, master } = parseRedisAddress(settings.url)
  const credentials = credentialsOf(settings, role, options)
  const [host] = hosts
  if (master === undefined)
    return { Connector: connectorTo(options.whereabouts ?? (() => host), credentials) }
  const sentinels = (): RedisOptions => {
    const { sentinelPassword } = settings
    const secure = credentials.tls()
    return {
      ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
      ...(tls ? { tls: secure, sentinelTLS: secure, enableTLSForSentinelMode: true } : {}),
    }
  }
  return {
    ...sentinels(),
    Connector: sentinelConnector(sentinels, credentials),
    name: master,
    sentinels: [...hosts],
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Hears of a failover from the sentinels, also where the old master still answers.
    failoverDetector: true,
    sentinelRetryStrategy: reconnectDelayMs,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
  }
}

/** What the settings say when they are asked. */
export function credentialsOf(
  settings: RedisSettings,
  role: RedisRole,
  { anyRole = false }: Pick<ConnectionOptions, 'anyRole'> = {},
): Credentials {
  const { tls, username, password, database } = parseRedisAddress(settings.url)
  return {
    handshake: () => ({
      username,
      password: settings.password ?? password,
      database,
      connectionName: `breakwater-${role}`,
      master: !anyRole,
      timeoutMs: CONNECT_TIMEOUT_MS,
    }),
    tls: () => {
      if (!tls) return undefined
      const { ca, cert, key } = settings
      return {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      }
    },
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
    throw unusable(settings, last ?? (error as Error))
  } finally {
    clearTimeout(impatience)
  }
}

/** With the address, without what is secret in it. */
function unusable({ url }: RedisSettings, cause: Error): Error {
  return new Error(`${redactUrl(url)}: ${faultOf(cause).text}`, { cause })
}
