/** Whether Redis takes what the settings say, asked by a connection of its own. */
import { parseRedisAddress, type RedisHost } from '@breakwater/config'
import { connectOrFail, createRedis, type RedisSettings } from './client.ts'

/** Of a cluster any node that answers will do. @throws {Error} one line: it is refused, or nobody answers */
export async function tryConnection(settings: RedisSettings): Promise<void> {
  const { cluster, hosts } = parseRedisAddress(settings.url)
  if (!cluster) {
    await tryOne(settings, undefined)
    return
  }
  let failure: unknown
  for (const host of hosts) {
    try {
      await tryOne(settings, host)
      return
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

async function tryOne(settings: RedisSettings, host: RedisHost | undefined): Promise<void> {
  const redis = createRedis(settings, 'data', {
    anyRole: true,
    ...(host === undefined ? {} : { whereabouts: () => host }),
  })
  redis.on('error', () => undefined)
  try {
    await connectOrFail(redis, settings)
  } finally {
    redis.disconnect()
  }
}
