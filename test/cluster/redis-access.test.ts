/** A Redis that authenticates: TLS with certificates on both sides, and a user with few rights. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Authority } from '@breakwater/broker'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startWaitingNode, type WaitingNodeOptions } from '../kit/waiting-node.ts'
import { startNode, type NodeOptions } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import { startRedisClusterServers } from '../kit/redis/redis-cluster-servers.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startReplicatedRedis } from '../kit/redis/redis-replica.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { connectAt } from './cluster.ts'

/** Sessions, queues, QoS 2, retained, takeover and the ways between two nodes. */
async function exercise(settings: NodeOptions): Promise<void> {
  await using a = await startNode(settings)
  await using b = await startNode(settings)
  const [topic, clientId] = [unique('t'), unique('c')]
  await using first = await connectAt(b, { clientId, clean: false })
  await first.subscribe([`${topic}/+`, 2])
  await using publisher = await connectAt(a, { clientId: unique('p'), clean: false })
  for (const qos of [0, 1, 2] as const)
    await publisher.publish({ topic: `${topic}/${qos}`, payload: 'live', qos, retain: true })
  expect(await first.receive(3)).toHaveLength(3)
  await using second = await connectAt(a, { clientId, clean: false })
  await first.untilClosed()
  await second.subscribe([`${topic}/#`, 1])
  expect((await second.receive(3)).every(({ retain }) => retain)).toBe(true)
  await second.unsubscribe(`${topic}/#`)
  await second.disconnect()
  await publisher.publish({ topic: `${topic}/1`, payload: 'queued', qos: 1 })
  await using third = await connectAt(b, { clientId, clean: false })
  expect(await third.receive(1)).toMatchObject([{ payload: Buffer.from('queued') }])
  await third.disconnect()
  await using member = await connectAt(a, { clientId: unique('m'), clean: false })
  await member.subscribe([`$share/g/${topic}/shared`, 1])
  await publisher.publish({ topic: `${topic}/shared`, payload: 'shared', qos: 1 })
  expect(await member.receive(1)).toHaveLength(1)
  await member.disconnect()
  await using last = await connectAt(b, { clientId })
  await last.publish({ topic: `${topic}/0`, payload: '', retain: true, qos: 1 })
  for (const node of [a, b])
    expect(node.logs().filter(({ msg }) => /redis|store/i.test(String(msg)))).toEqual([])
}

it('nodes verify the certificate of Redis over TLS, and show Redis their own certificate', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  const authority = await Authority.create('Redis test')
  const issue = (usage: 'server' | 'client') =>
    authority.issue({ commonName: usage, usage, alternativeNames: ['127.0.0.1'] })
  const ca = authority.pair.cert
  const server = await issue('server')
  await using redis = await startRedisProcess([], { tls: { ca, ...server } })
  const directory = temporaryDirectory('redis-tls-')
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const { cert, key } = await issue('client')
  const trusted = { BREAKWATER_REDIS_CA: file('ca.pem', ca) }
  const own = {
    BREAKWATER_REDIS_CERT: file('cert.pem', cert),
    BREAKWATER_REDIS_KEY: file('key.pem', key),
  }
  await exercise({ redisUrl: redis.url, environment: { ...trusted, ...own } })
  await using member = await startRedisProcess(
    ['--cluster-enabled', 'yes', '--tls-cluster', 'yes'],
    {
      tls: { ca, ...server },
    },
  )
  const admin = new Redis(member.url, { tls: { ca, cert, key } })
  await admin.call('cluster', 'addslotsrange', 0, 16_383)
  await expect.poll(() => admin.call('cluster', 'info')).toContain('cluster_state:ok')
  admin.disconnect()
  const redisUrl = member.url.replace('rediss://', 'rediss-cluster://')
  await exercise({ redisUrl, environment: { ...trusted, ...own } })
  await expectToWait({ redisUrl: redis.url, environment: own }, /^rediss:.*SELF_SIGNED/)
  await expectToWait({ redisUrl: redis.url, environment: trusted }, /^rediss:/)
})

/** A node with these settings does not serve: it says what is wrong with Redis, and waits. */
async function expectToWait(
  settings: WaitingNodeOptions,
  why: RegExp | 'permission',
): Promise<void> {
  await using node = await startWaitingNode(settings)
  await node.logged(({ fault, error }) =>
    why === 'permission' ? fault === why : why.test(String(error)),
  )
}

const page = readFileSync(new URL('../../docs/REDIS.md', import.meta.url), 'utf8')

/** Gives the address for the user that docs/REDIS.md lists, with these rights as well. */
async function limitTo(admin: Redis, url: string, more: readonly string[]): Promise<string> {
  const rule = /ACL SETUSER breakwater ([^`]*)/.exec(page)?.[1]
  const words = rule?.replace('PASSWORD', 'sesame').trim().split(/\s+/) ?? []
  await admin.call('ACL', 'SETUSER', 'breakwater', ...words, ...more)
  await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>other')
  return url.replace('redis://', 'redis://breakwater:sesame@')
}

it('a Redis user with the rights that docs/REDIS.md lists can do everything that nodes need', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using redis = await startRedisProcess([])
  const admin = new Redis(redis.url)
  const redisUrl = await limitTo(admin, redis.url, [])
  const wrapKey = join(temporaryDirectory('wrap-'), 'wrap.key')
  writeFileSync(wrapKey, randomBytes(32))
  await exercise({ redisUrl, environment: { BREAKWATER_TLS_TICKET_WRAP_KEY: wrapKey } })
  expect(await admin.call('ACL', 'LOG')).toEqual([])
  await admin.call('ACL', 'SETUSER', 'breakwater', '-xadd')
  await expectToWait({ redisUrl }, 'permission')
  admin.disconnect()
})

it('a Redis user with the additional rights that docs/REDIS.md lists for a Redis Cluster can do everything there', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using redis = await startRedisClusterServers()
  const more = /On a Redis Cluster it also needs `([^`]+)`/.exec(page)?.[1]?.split(' ') ?? []
  const admins = redis.masters.map(({ url }) => new Redis(url))
  for (const admin of admins) await limitTo(admin, redis.url, more)
  const redisUrl = redis.url.replace('://', '://breakwater:sesame@')
  await exercise({ redisUrl })
  for (const admin of admins) {
    expect(await admin.call('ACL', 'LOG')).toEqual([])
    await admin.call('ACL', 'SETUSER', 'breakwater', '-cluster|slots')
  }
  await expectToWait({ redisUrl }, 'permission')
  for (const admin of admins) admin.disconnect()
})

for (const level of ['replicated:1', 'fsynced'])
  it(`at level ${level} a Redis user needs the additional rights that docs/REDIS.md lists, and a node without them does not start`, async (context) => {
    if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
    await using redis = await startReplicatedRedis([
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
    ])
    const { url } = redis.master
    const admin = new Redis(url)
    const [, wait = '', waitAof = '', before = ''] =
      /`replicated:N` needs `(\S+)` as well; `fsynced` needs `(\S+)`, or `(\S+)` before/.exec(
        page,
      ) ?? []
    const [isNew] = (await admin.call('command', 'info', 'waitaof')) as unknown[]
    const disk = isNew === null ? before : waitAof
    const right = level === 'fsynced' ? disk : wait
    const settings = {
      redisUrl: await limitTo(admin, url, []),
      environment: { BREAKWATER_ACK: level },
    }
    await expectToWait(settings, 'permission')
    await admin.call('ACL', 'SETUSER', 'breakwater', right)
    await admin.call('ACL', 'LOG', 'RESET')
    await exercise(settings)
    expect(await admin.call('ACL', 'LOG')).toEqual([])
    admin.disconnect()
  })
