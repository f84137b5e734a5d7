/** Connections to Redis as packages/redis makes them, to servers that are fit, unfit, silent or unreachable. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import {
  connectOrFail,
  createRedis,
  pingSeconds,
  readFacts,
  startHeartbeat,
  unfitReason,
  type Redis,
  type RedisSettings,
} from '@breakwater/redis'
import { createRedisBus } from '@breakwater/bus'
import { createRedisStore } from '@breakwater/store'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { freePort } from '../kit/redis/redis-process.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { queueBounds } from './redis-stores.ts'

function settingsOf(url: string, changes: Partial<RedisSettings> = {}): RedisSettings {
  return { url, password: undefined, ca: undefined, prefix: 'test:', ...changes }
}

async function connected(settings: RedisSettings): Promise<Redis> {
  const redis = createRedis(settings, 'data')
  onTestFinished(() => redis.disconnect())
  await connectOrFail(redis, settings)
  return redis
}

/** Errors on the way do not matter, which `once` of node:events would reject with. */
async function event(redis: Redis, name: 'ready' | 'close'): Promise<void> {
  await new Promise<void>((resolve) => redis.once(name, resolve))
}

describe('the check of a Redis server', () => {
  test('accepts the Redis of the test run', async () => {
    await using server = await startRedis()
    const facts = await readFacts(await connected(settingsOf(server.url)))
    expect(facts.version).toMatch(/^\d+\.\d+\.\d+$/)
    expect(unfitReason(facts, false)).toBeUndefined()
  })

  test('refuses a Redis with maxmemory-policy allkeys-lru in one line', async () => {
    await using server = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    const reason = unfitReason(await readFacts(await connected(settingsOf(server.url))), false)
    expect(reason).toBe(
      'maxmemory-policy is allkeys-lru: Redis would silently drop sessions and messages; ' +
        'set maxmemory-policy noeviction',
    )
  })
})

test('a connection to Redis that ends during CLIENT SETNAME connects again', async () => {
  await using server = await startRedis()
  const { hostname, port } = new URL(server.url)
  let cuts = 3
  const gateway = createServer((near) => {
    const far = connect(Number(port), hostname)
    for (const socket of [near, far])
      socket.on('error', () => undefined).on('close', () => [near, far].map((one) => one.destroy()))
    near.on('data', (chunk: Buffer) => {
      if (cuts > 0 && /setname/i.test(chunk.toString('latin1'))) {
        cuts -= 1
        near.destroy()
      } else far.write(chunk)
    })
    far.pipe(near)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void gateway.close())
  await once(gateway, 'listening')
  const url = `redis://127.0.0.1:${(gateway.address() as AddressInfo).port}`
  const redis = createRedis(settingsOf(url), 'data')
  onTestFinished(() => redis.disconnect())
  redis.on('error', () => undefined)
  redis.connect().catch(() => undefined)
  await expect.poll(() => redis.ping().catch(() => 'no answer')).toBe('PONG')
  expect(cuts).toBe(0)
})

describe('a Redis that cannot be used', () => {
  const options = { ...queueBounds, timeoutMs: 1_000, onFault: () => undefined }

  const users: readonly [string, (settings: RedisSettings) => Promise<unknown>][] = [
    ['a connection', (settings) => connected(settings)],
    ['a store', (settings) => createRedisStore(settings, options)],
    ['a bus', (settings) => createRedisBus(settings, options)],
  ]

  test.each(users)(
    'because it is unreachable is reported in one line for %s, without credentials',
    async (_, use) => {
      const address = `127.0.0.1:${await freePort()}`
      await expect(use(settingsOf(`redis://ann:secret@${address}`))).rejects.toThrow(
        new Error(`redis://${address}: ECONNREFUSED`),
      )
    },
  )

  test.each(users)(
    'because it requires a password is reported in one line for %s',
    async (_, use) => {
      await using server = await startRedis({ args: ['--requirepass', 'right'] })
      await expect(use(settingsOf(server.url))).rejects.toThrow(
        /^redis:\/\/[^ \n]+: [^\n]*NOAUTH[^\n]*$/,
      )
      const wrong = settingsOf(server.url, { password: 'wrong' })
      await expect(use(wrong)).rejects.toThrow(/^redis:\/\/[^ \n]+: WRONGPASS [^\n]*$/)
      await expect(use(wrong)).rejects.not.toThrow('wrong')
    },
  )

  test('without its password can be used with a password beside the user of the URL', async () => {
    await using server = await startRedis({ args: ['--requirepass', 'r%ig/ht@:'] })
    const url = server.url.replace('redis://', 'redis://default@')
    expect(await (await connected(settingsOf(url, { password: 'r%ig/ht@:' }))).ping()).toBe('PONG')
  })

  test('because it accepts connections and does not answer is reported in one line, after a time-out', async () => {
    await using silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const sockets = new Set<{ destroy(): void }>()
    silent.on('connection', (socket) => sockets.add(socket))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    const url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const redis = createRedis(settingsOf(url), 'data')
    await expect(connectOrFail(redis, settingsOf(url), 300)).rejects.toThrow(
      new Error(`${url}: no answer within 300 ms`),
    )
    for (const socket of sockets) socket.destroy()
  })
})

describe('a connection to Redis that hangs', () => {
  test('does not answer a ping', async () => {
    await using server = await startRedis()
    await using proxy = await startRedisProxy(server.url)
    const redis = await connected(settingsOf(proxy.url))
    redis.on('error', () => undefined)
    expect(await pingSeconds(redis)).toBeGreaterThan(0)
    proxy.stall()
    await expect(pingSeconds(redis, 200)).rejects.toThrow('no answer within 200 ms')
  })

  test.each(['data', 'control', 'subscriber'] as const)(
    'is closed by its heartbeat and connects again: %s',
    async (role) => {
      await using server = await startRedis()
      await using proxy = await startRedisProxy(server.url)
      const settings = settingsOf(proxy.url)
      const redis = createRedis(settings, role, { timeoutMs: 300 })
      onTestFinished(() => redis.disconnect())
      await connectOrFail(redis, settings)
      redis.on('error', () => undefined)
      if (role === 'subscriber') await redis.subscribe('c')
      using _heartbeat = startHeartbeat(redis, 300)
      proxy.stall()
      await event(redis, 'close')
      await proxy.restore()
      await event(redis, 'ready')
      expect(await redis.ping()).toBeTruthy()
    },
  )

  test('is not closed by its heartbeat if it answers', async () => {
    await using server = await startRedis()
    const redis = await connected(settingsOf(server.url))
    let closed = false
    redis.on('close', () => {
      closed = true
    })
    using _heartbeat = startHeartbeat(redis, 100)
    for (let beat = 0; beat < 10; beat += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      await redis.ping()
    }
    expect(closed).toBe(false)
  })
})
