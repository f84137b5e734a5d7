/** A running import excludes nodes and other imports, and a running node excludes imports, by keys in Redis. */
import { ImportHold } from '@breakwater/cluster'
import { keysWith, openPlace, type Keys, type Redis, type Servers } from '@breakwater/redis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startNode, type NodeOptions } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'

/** The import renews its key every two seconds. */
const WAIT = { timeout: 30_000, interval: 50 }

interface Opened {
  readonly servers: Servers
  readonly redis: Redis
  readonly keys: Keys
  readonly settings: NodeOptions
}

async function open(): Promise<Opened> {
  const server = await startRedis()
  onTestFinished(() => server[Symbol.asyncDispose]())
  const { url, prefix } = server
  const place = await openPlace({ url, password: undefined, ca: undefined, prefix })
  const servers = await place.servers('control')
  onTestFinished(() => servers[Symbol.dispose]())
  const [redis] = servers.all as [Redis]
  const settings = { redisUrl: url, redisPrefix: prefix }
  return { servers, redis, keys: keysWith(prefix), settings }
}

test('an import is refused while a node runs, and refuses nodes and other imports until it ends', async () => {
  const { servers, keys, settings } = await open()
  {
    await using _node = await startNode(settings)
    await expect(ImportHold.take(servers, keys)).rejects.toThrow(
      /^1 node runs on it: stop all of them; one that was killed is gone in \d+ s$/,
    )
  }
  {
    await using hold = await ImportHold.take(servers, keys)
    hold.check()
    await expect(ImportHold.take(servers, keys)).rejects.toThrow(/^an import is under way/)
    await expect(startNode(settings)).rejects.toThrow(/an import is under way/)
  }
  await using _later = await startNode(settings)
})

test('an import ends and writes nothing more when Redis has lost its lock', async () => {
  const { servers, redis, keys } = await open()
  await using hold = await ImportHold.take(servers, keys)
  await redis.set(keys.clusterImport, 'somebody else')
  await vi.waitFor(() => expect(() => hold.check()).toThrow(/run the import/), WAIT)
  await hold[Symbol.asyncDispose]()
  expect(await redis.get(keys.clusterImport)).toBe('somebody else')
})

test('an import declares a killed node dead, so the node reads everything anew if it comes back', async () => {
  const { servers, redis, keys } = await open()
  await redis.hset(keys.clusterNodes, 'killed', '{}')
  await redis.zadd(keys.clusterLeases, 1, 'killed')
  await redis.sadd(keys.clusterRoutes('killed'), 'a/#')
  await using _hold = await ImportHold.take(servers, keys)
  expect(await redis.exists(keys.clusterNodes, keys.clusterLeases)).toBe(0)
  expect(await redis.exists(keys.clusterRoutes('killed'))).toBe(0)
  expect(await redis.zrange(keys.clusterDeparted, 0, -1)).toEqual(['import', 'killed'])
  const [[, [, entry]] = ['', []]] = await redis.xrange(keys.clusterLog, '-', '+')
  expect(JSON.parse(entry ?? '')).toEqual({ kind: 'left', node: 'killed', died: true })
})
