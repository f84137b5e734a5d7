/** Composition: a node that was given a wrap key has a ticket key in common with the others. */
import { ConfigError, type Config } from '@breakwater/config'
import { connectOrFail, createRedis, keysWith, type RedisSettings } from '@breakwater/redis'
import type { Events } from '../events.ts'
import { SharedTicketKey } from './shared-ticket-key.ts'
import { WrapKey } from './wrap-key.ts'

/**
 * Undefined where tickets are of this node, or of a key that was given.
 *
 * @throws {ConfigError} the wrap key is not good, or Redis does not answer
 */
export async function startSharedTicketKey(
  { redis: config, limits }: Config,
  settings: RedisSettings | undefined,
  events: Events,
): Promise<SharedTicketKey | undefined> {
  if (settings === undefined || config?.ticketWrapKeyFile === undefined) return undefined
  const wrapKey = WrapKey.read(config.ticketWrapKeyFile)
  const redis = createRedis(settings, 'control', { timeoutMs: limits.storeTimeoutMs })
  try {
    await connectOrFail(redis, settings)
  } catch (error) {
    throw new ConfigError(`BREAKWATER_REDIS_URL: ${(error as Error).message}`, { cause: error })
  }
  redis.on('error', (error: Error) => events.redisFault(error))
  const shared = new SharedTicketKey({
    redis,
    place: keysWith(settings.prefix).clusterTickets,
    wrapKey,
    rotationMs: limits.ticketKeyRotationMs,
    events,
  })
  await shared.start()
  return shared
}
