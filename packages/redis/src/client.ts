import { Redis, type RedisOptions } from 'ioredis'

export interface RedisSettings {
  /** `redis://` or `rediss://`, with user, password and database if any. */
  readonly url: string
  /** Takes the place of one in the URL. */
  readonly password: string | undefined
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string | undefined
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
}

const CONNECT_TIMEOUT_MS = 5_000
/** A connection that is given up says goodbye and is not waited for. */
const DISCONNECT_TIMEOUT_MS = 100

/** Between two attempts to connect again: from 50 ms, doubled, up to 2 s, with jitter. */
function reconnectDelayMs(attempt: number): number {
  const delay = Math.min(2_000, 50 * 2 ** Math.min(attempt, 6))
  return delay / 2 + Math.random() * (delay / 2)
}

function roleOptions(role: RedisRole, timeoutMs: number | undefined): RedisOptions {
  if (role === 'data')
    return {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
    }
  if (role === 'subscriber') return { maxRetriesPerRequest: null, autoResubscribe: false }
  return timeoutMs === undefined
    ? { maxRetriesPerRequest: 3 }
    : { maxRetriesPerRequest: null, commandTimeout: timeoutMs }
}

/** One connection, not yet connected; see `connectOrFail`. */
export function createRedis(
  settings: RedisSettings,
  role: RedisRole,
  { keyPrefix, timeoutMs }: ConnectionOptions = {},
): Redis {
  return new Redis(addressOf(settings), {
    ...roleOptions(role, timeoutMs),
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    lazyConnect: true,
    connectionName: `breakwater-${role}`,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    keepAlive: 10_000,
    retryStrategy: reconnectDelayMs,
    ...(settings.ca === undefined ? {} : { tls: { ca: settings.ca } }),
  })
}

/**
 * ioredis lets the URL win over the options. An URL with a user and no password would set an empty one over
 * that of the settings, and one with a query could undo what a role is.
 */
function addressOf({ url, password }: RedisSettings): string {
  const address = new URL(url)
  address.search = ''
  if (password !== undefined) address.password = encodeURIComponent(password)
  return address.href
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
  } catch (error) {
    redis.disconnect()
    const cause = last ?? (error as Error)
    const reason = (cause as { code?: string }).code ?? cause.message
    throw new Error(`${redactUrl(settings.url)}: ${reason}`, { cause: error })
  } finally {
    clearTimeout(impatience)
    redis.off('error', remember)
  }
}

/** The address without credentials, for messages and logs. */
export function redactUrl(url: string): string {
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  parsed.search = ''
  parsed.hash = ''
  return parsed.href
}
