/** Redis behind an address whose server changes, such as that of a Kubernetes Service. */
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { startReplicatedRedis } from '../kit/redis/redis-replica.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { WireClient } from '../kit/wire-client.ts'

function operatorOf(url: string): Redis {
  const operator = new Redis(url)
  onTestFinished(() => operator.disconnect())
  return operator
}

async function connectAt(node: TestNode, clientId: string): Promise<WireClient> {
  const client = await WireClient.open(node)
  onTestFinished(async () => await client[Symbol.asyncDispose]())
  await client.connect({ clientId, clean: false })
  return client
}

/** What the metrics say of Redis. */
async function page(node: TestNode): Promise<string> {
  const all = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
  return (
    all.match(/^breakwater_(redis_(?!round)|store_writable)(?!.*_total.* 0$).*$/gm) ?? []
  ).join('\n')
}

const REDIS_LINES = /Redis connection failed|Redis refuses|Redis works again|redis still/

describe('a Redis address whose master changes, as behind a Kubernetes Service,', () => {
  test('is followed to the new master without a restart, and no acknowledged message is lost', async () => {
    await using replicated = await startReplicatedRedis([])
    const { master, replica } = replicated
    await using proxy = await startRedisProxy(master.url)
    await using node = await startNode({ redisUrl: proxy.url })
    await using other = await startNode({ redisUrl: proxy.url })
    const subscriber = await connectAt(node, 'away')
    await subscriber.subscribe(['t/#', 1])
    const publisher = await connectAt(other, 'publisher')
    await publisher.publish({ topic: 't/1', payload: 'before', qos: 1 })
    await replicated.caughtUp()

    // Connections that there are stay with the old master, which answers.
    proxy.leadTo(replica.url)
    await replicated.promote()
    await operatorOf(master.url).replicaof('127.0.0.1', Number(new URL(replica.url).port))
    await publisher.publish({ topic: 't/2', payload: 'after', qos: 1 })
    const messages = await subscriber.receive(2)
    expect(messages.map(({ payload }) => payload.toString())).toEqual(['before', 'after'])
    await expect.poll(async () => await page(node)).toMatch(/^breakwater_store_writable 1$/m)
    expect(await page(node)).toMatch(/^breakwater_redis_up 1$/m)
    const names = await operatorOf(replica.url).client('LIST')
    for (const role of ['data', 'control', 'subscriber'])
      expect(names).toMatch(new RegExp(`name=breakwater-${role}`))
    expect(await operatorOf(master.url).client('LIST')).not.toMatch(/name=breakwater/)
  })
})

test('a Redis that answers but takes no writes is reported as up and not writable, in one log line', async () => {
  await using redis = await startRedisProcess([])
  await using node = await startNode({ redisUrl: redis.url })
  const operator = operatorOf(redis.url)
  await expect.poll(async () => await page(node)).toMatch(/^breakwater_store_writable 1$/m)
  await operator.config('SET', 'maxmemory', '1')
  await node.logged(({ fault }) => fault === 'memory')
  await expect.poll(async () => await page(node)).toMatch(/^breakwater_store_writable 0$/m)
  expect(await page(node)).toMatch(/^breakwater_redis_up 1$/m)
  await operator.config('SET', 'maxmemory', '0')
  await node.logged(({ msg }) => msg === 'Redis works again')
  const lines = node.logs().filter(({ msg }) => REDIS_LINES.test(String(msg)))
  expect(lines.map(({ msg }) => msg)).toEqual([
    'Redis refuses commands; retrying',
    'Redis works again',
  ])
  expect(lines[0]).toMatchObject({
    fault: 'memory',
    advice: expect.stringContaining('maxmemory') as string,
  })
  expect(await page(node)).toMatch(/^breakwater_store_writable 1$/m)
})

test('a Redis that hangs is reported as neither up nor writable, and as both when it answers again', async () => {
  await using redis = await startRedisProcess([])
  await using proxy = await startRedisProxy(redis.url)
  await using node = await startNode({ redisUrl: proxy.url })
  await expect.poll(async () => await page(node)).toMatch(/^breakwater_store_writable 1$/m)
  proxy.stall()
  const patient = { timeout: 30_000 }
  await expect.poll(async () => await page(node), patient).toMatch(/^breakwater_redis_up 0$/m)
  expect(await page(node)).toMatch(/^breakwater_store_writable 0$/m)
  await proxy.restore()
  await expect.poll(async () => await page(node), patient).toMatch(/^breakwater_redis_up 1$/m)
  await expect.poll(async () => await page(node), patient).toMatch(/^breakwater_store_writable 1$/m)
})

test('an outage of Redis is logged once for each kind of connection, however often connections fail', async () => {
  await using redis = await startRedisProcess([])
  await using proxy = await startRedisProxy(redis.url)
  await using node = await startNode({ redisUrl: proxy.url })
  await proxy.refuse()
  await expect
    .poll(async () => await page(node), { timeout: 10_000 })
    .toMatch(/^breakwater_redis_faults_total\{kind="unreachable"\} [1-9]\d/m)
  await proxy.restore()
  await expect.poll(async () => await page(node)).toMatch(/^breakwater_store_writable 1$/m)
  const lines = node.logs().filter(({ msg }) => REDIS_LINES.test(String(msg)))
  expect(lines.length).toBeLessThan(6)
  const faults = lines.map(({ fault }) => fault).filter((fault) => fault !== undefined)
  expect(new Set(faults).size).toBe(faults.length)
  expect(faults).toContain('unreachable')
})

test('an evicting maxmemory-policy that is set while a node runs is shown in a log line and a metric', async () => {
  await using redis = await startRedisProcess([])
  await using proxy = await startRedisProxy(redis.url)
  await using node = await startNode({ redisUrl: proxy.url })
  const metric = (value: number): RegExp =>
    new RegExp(`^breakwater_redis_setting_ok\\{kind="maxmemory-policy"\\} ${value}$`, 'm')
  await expect.poll(async () => await page(node)).toMatch(metric(1))
  const operator = operatorOf(redis.url)
  await operator.config('SET', 'maxmemory-policy', 'allkeys-lru')
  proxy.cut()
  const line = await node.logged(({ setting }) => setting === 'maxmemory-policy')
  expect(line).toMatchObject({
    why: expect.stringContaining('set maxmemory-policy noeviction') as string,
  })
  expect(await page(node)).toMatch(metric(0))
  await operator.config('SET', 'maxmemory-policy', 'noeviction')
  proxy.cut()
  await node.logged(({ msg }) => msg === 'Redis setting corrected')
  expect(await page(node)).toMatch(metric(1))
})
