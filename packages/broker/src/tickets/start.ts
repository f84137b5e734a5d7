/** Composition: a node that was given a wrap key has a ticket key in common with the others. */
import { ConfigError, type Config } from '@breakwater/config'
import { keysWith, openPlace, type RedisSettings, type Servers } from '@breakwater/redis'
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
  using stack = new DisposableStack()
  const servers = await connect(settings, limits.storeTimeoutMs, stack)
  servers.onFault((error) => events.redisFault(error))
  const shared = new SharedTicketKey({
    servers,
    stack: stack.move(),
    place: keysWith(settings.prefix).clusterTickets,
    wrapKey,
    rotationMs: limits.ticketKeyRotationMs,
    events,
  })
  await shared.start()
  return shared
}

async function connect(
  settings: RedisSettings,
  timeoutMs: number,
  stack: DisposableStack,
): Promise<Servers> {
  try {
    const place = stack.use(await openPlace(settings))
    return stack.use(await place.servers('control', { timeoutMs }))
  } catch (error) {
    throw new ConfigError(`BREAKWATER_REDIS_URL: ${(error as Error).message}`, { cause: error })
  }
}
