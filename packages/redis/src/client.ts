import { Redis, type RedisOptions } from 'ioredis'

export interface RedisSettings {
  /** `redis://` or `rediss://`, with user, password and database if any. */
  readonly url: string
  readonly password: string | undefined
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string | undefined
  readonly prefix: string
}

/**
 * - `data`: writes that must not be sent twice behind our back: no offline queue, no automatic resend.
 *   Who uses it retries in order itself.
 * - `control`: few, idempotent commands; waits for a lost connection to come back.
 * - `subscriber`: listens to channels, subscribes again by itself.
 */
export type RedisRole = 'data' | 'control' | 'subscriber'

/** Between two attempts to connect again: from 50 ms, doubled, up to 2 s, with jitter. */
function reconnectDelayMs(attempt: number): number {
  const delay = Math.min(2_000, 50 * 2 ** Math.min(attempt, 6))
  return delay / 2 + Math.random() * (delay / 2)
}

const ROLE_OPTIONS: Record<RedisRole, RedisOptions> = {
  data: {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  },
  control: { maxRetriesPerRequest: 3 },
  subscriber: { maxRetriesPerRequest: null },
}

/**
 * One connection, not yet connected; call `connect()`. `keyPrefix` is for foreign packages that name
 * their keys themselves; our own names come from `keys.ts`.
 */
export function createRedis(
  settings: RedisSettings,
  role: RedisRole,
  options: { readonly keyPrefix?: string } = {},
): Redis {
  return new Redis(settings.url, {
    ...ROLE_OPTIONS[role],
    ...options,
    lazyConnect: true,
    connectionName: `breakwater-${role}`,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    retryStrategy: reconnectDelayMs,
    ...(settings.password === undefined ? {} : { password: settings.password }),
    ...(settings.ca === undefined ? {} : { tls: { ca: settings.ca } }),
  })
}

/**
 * Connects, and turns the first failure into one line instead of endless attempts.
 *
 * @throws {Error} with the address and the reason, for example `redis://127.0.0.1:6379: ECONNREFUSED`
 */
export async function connectOrFail(redis: Redis, settings: RedisSettings): Promise<void> {
  // An `error` event without a listener would end the process; the reason is in the rejection below.
  let last: Error | undefined
  const remember = (error: Error): void => {
    last = error
  }
  redis.on('error', remember)
  try {
    await redis.connect()
  } catch (error) {
    redis.disconnect()
    const cause = last ?? (error as Error)
    const reason = (cause as { code?: string }).code ?? cause.message
    throw new Error(`${redactUrl(settings.url)}: ${reason}`, { cause: error })
  } finally {
    redis.off('error', remember)
  }
}

/** The address without credentials, for messages and logs. */
export function redactUrl(url: string): string {
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  return parsed.href
}
