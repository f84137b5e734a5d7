/** Composition: a node that was given a wrap key has a ticket key in common with the others. */
import type { Config } from '@breakwater/config'
import { keysWith, openPlace, type RedisSettings } from '@breakwater/redis'
import type { Events } from '../observe/events.ts'
import type { WatchedFiles } from '../files/watched-files.ts'
import { KeptWrapKey } from './kept-wrap-key.ts'
import { SharedTicketKey } from './shared-ticket-key.ts'
import type { WrapKey } from './wrap-key.ts'

export interface SharedTicketFiles {
  readonly redis: RedisSettings | undefined
  readonly wrapKey: WrapKey | undefined
}

/**
 * Undefined where tickets are of this node, or of a key that was given.
 *
 * @throws {Error} Redis does not answer
 */
export async function startSharedTicketKey(
  { limits, redis }: Config,
  { redis: settings, wrapKey: first }: SharedTicketFiles,
  watched: WatchedFiles,
  events: Events,
): Promise<SharedTicketKey | undefined> {
  const path = redis?.ticketWrapKeyFile
  if (settings === undefined || first === undefined || path === undefined) return undefined
  using stack = new DisposableStack()
  const changed = (): void => shared.lookAgain()
  const wrapKey = stack.use(new KeptWrapKey({ path, first, watched, events, changed }))
  const place = stack.use(await openPlace(settings))
  const servers = stack.use(
    await place.servers('control', {
      timeoutMs: limits.storeTimeoutMs,
      onBadValue: (bad) => events.redis.badValue(bad),
    }),
  )
  servers.onFault((error) => events.redis.fault(error))
  const shared = new SharedTicketKey({
    servers,
    stack: stack.move(),
    place: keysWith(settings.prefix).clusterTickets,
    wrapKeys: () => wrapKey.keys,
    rotationMs: limits.ticketKeyRotationMs,
    events,
  })
  await shared.start()
  return shared
}
