/** What a connection verifies before it is used, and servers that are, or become, the wrong ones. */
import { createServer, type AddressInfo } from 'node:net'
import { once, type EventEmitter } from 'node:events'
import {
  connectOrFail,
  createRedis,
  faultOf,
  openPlace,
  type ConnectionOptions,
  type Redis,
  type RedisRole,
  type RedisSettings,
} from '@breakwater/redis'
import { AedesDeployment } from '@breakwater/store'
import { Redis as Operator } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'

const ROLES = ['data', 'control', 'subscriber'] as const

function settingsOf(url: string, changes: Partial<RedisSettings> = {}): RedisSettings {
  return { url, password: undefined, ca: undefined, prefix: 'test:', ...changes }
}

async function connected(
  settings: RedisSettings,
  role: RedisRole = 'data',
  options: ConnectionOptions = {},
): Promise<Redis> {
  const redis = createRedis(settings, role, options)
  onTestFinished(() => redis.disconnect())
  await connectOrFail(redis, settings)
  redis.on('error', () => undefined)
  return redis
}

function operatorOf(url: string): Operator {
  const operator = new Operator(url)
  onTestFinished(() => operator.disconnect())
  return operator
}

async function ready(redis: Redis): Promise<void> {
  if (redis.status !== 'ready')
    await new Promise<void>((resolve) => redis.once('ready', () => resolve()))
}

async function refusal(work: Promise<unknown>): Promise<Error> {
  return await work.then(
    () => Promise.reject(new Error('nothing was refused')),
    (error: Error) => error,
  )
}

describe('a Redis database', () => {
  test.each(ROLES)(
    'that the server does not have is not replaced by database 0: %s',
    async (role) => {
      await using server = await startRedisProcess(['--databases', '4'])
      const error = await refusal(connected(settingsOf(`${server.url}/99`), role))
      expect(error.message).toMatch(/^redis:\/\/\S+: SELECT 99: ERR DB index is out of range$/)
      expect(faultOf(error)).toMatchObject({ kind: 'database', lasting: true })
      const redis = await connected(settingsOf(`${server.url}/3`), role)
      await operatorOf(server.url).select(3)
      if (role !== 'subscriber') await redis.set('k', 'v')
      expect(await operatorOf(`${server.url}/0`).get('k')).toBeNull()
    },
  )

  test('that the user may not select is not replaced by database 0', async () => {
    await using server = await startRedisProcess([])
    await operatorOf(server.url).call(
      'ACL',
      'SETUSER',
      'ann',
      'on',
      '>one',
      '~*',
      '&*',
      '+@all',
      '-select',
    )
    const url = server.url.replace('redis://', 'redis://ann:one@')
    const error = await refusal(connected(settingsOf(`${url}/1`)))
    expect(error.message).toMatch(/: SELECT 1: NOPERM /)
    expect(faultOf(error)).toMatchObject({ kind: 'database', lasting: true })
    expect(await (await connected(settingsOf(url))).ping()).toBe('PONG')
  })

  test('that is lost at a later connection is not replaced by database 0', async () => {
    await using many = await startRedisProcess(['--databases', '4'])
    await using few = await startRedisProcess(['--databases', '2'])
    await using proxy = await startRedisProxy(many.url)
    const redis = await connected(settingsOf(`${proxy.url}/3`))
    const refused = new Promise<Error>((resolve) => redis.on('error', resolve))
    proxy.moveTo(few.url)
    expect((await refused).message).toBe('SELECT 3: ERR DB index is out of range')
    expect(redis.status).not.toBe('ready')
    proxy.moveTo(many.url)
    await ready(redis)
    await redis.set('k', 'v')
    expect(await operatorOf(`${many.url}/3`).get('k')).toBe('v')
    expect(await operatorOf(few.url).dbsize()).toBe(0)
  })

  test('of an aedes deployment is read, or refused', async () => {
    await using server = await startRedisProcess(['--databases', '4'])
    await operatorOf(`${server.url}/3`).sadd('clients', 'c')
    using deployment = new AedesDeployment(settingsOf(`${server.url}/3`, { prefix: '' }))
    await deployment.connect()
    expect(await deployment.count()).toBe(1)
    using other = new AedesDeployment(settingsOf(`${server.url}/9`, { prefix: '' }))
    await expect(other.connect()).rejects.toThrow('SELECT 9: ERR DB index is out of range')
  })
})

test('a Redis password that the server does not require does not count as verified', async () => {
  await using server = await startRedisProcess([])
  const error = await refusal(connected(settingsOf(server.url, { password: 'secret' })))
  expect(faultOf(error)).toMatchObject({ kind: 'password', lasting: false })
  expect(error.message).not.toContain('secret')
})

test('a Redis user without the right to read INFO is reported', async () => {
  await using server = await startRedisProcess([])
  await operatorOf(server.url).call('ACL', 'SETUSER', 'ann', 'on', '>one', '+@all', '-info')
  const url = server.url.replace('redis://', 'redis://ann:one@')
  expect(faultOf(await refusal(connected(settingsOf(url))))).toMatchObject({ kind: 'permission' })
})

test('a server that answers in another protocol is not accepted as Redis', async () => {
  const server = createServer((socket) => socket.on('data', () => socket.end('HTTP/1.1 400\r\n')))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const error = await refusal(connected(settingsOf(`redis://127.0.0.1:${port}`)))
  expect(faultOf(error)).toMatchObject({ kind: 'tls' })
})

describe('a Redis replica', () => {
  test('is refused for writing, and accepted for reading an earlier deployment', async () => {
    await using master = await startRedisProcess([])
    await using replica = await startRedisProcess(['--replicaof', '127.0.0.1', portOf(master.url)])
    for (const role of ROLES) {
      const error = await refusal(connected(settingsOf(replica.url), role))
      expect(faultOf(error)).toMatchObject({ kind: 'read-only', lasting: false })
    }
    expect(await (await connected(settingsOf(replica.url), 'data', { anyRole: true })).ping()).toBe(
      'PONG',
    )
  })

  test.each(['READONLY', 'UNBLOCKED'] as const)(
    'is left by every connection of a node as soon as one connection gets the error: %s',
    async (how) => {
      await using old = await startRedisProcess([])
      await using next = await startRedisProcess([])
      await using proxy = await startRedisProxy(old.url)
      const settings = settingsOf(proxy.url)
      const writer = await connected(settings)
      const reader = await connected(settings)
      const subscriber = await connected(settings, 'subscriber')
      const stranger = await connected(settingsOf(proxy.url))
      await subscriber.subscribe('c')
      // The Service leads to another server; existing connections stay at the old one.
      proxy.leadTo(next.url)
      await stranger.ping()
      const operator = operatorOf(old.url)
      const all = [writer, reader, subscriber]
      const back = Promise.all(all.map((redis) => once(redis as unknown as EventEmitter, 'ready')))
      const blocked =
        how === 'UNBLOCKED' ? refusal(reader.xread('BLOCK', 0, 'STREAMS', 's', '$')) : undefined
      if (blocked !== undefined)
        await expect.poll(() => operator.client('LIST')).toMatch(/flags=b.* cmd=xread/)
      await operator.replicaof('127.0.0.1', Number(portOf(next.url)))
      const heard = blocked ?? refusal(writer.set('k', 'v'))
      expect((await heard).message).toContain(how)
      await back
      await writer.set('k', 'v')
      expect(await operatorOf(next.url).get('k')).toBe('v')
      expect(await operatorOf(next.url).client('LIST')).toMatch(/name=breakwater-subscriber/)
    },
  )
})

test('a Redis Cluster address with a database is refused', async () => {
  await expect(openPlace(settingsOf('redis-cluster://host/1'))).rejects.toThrow('names a database')
})

function portOf(url: string): string {
  return new URL(url).port
}
