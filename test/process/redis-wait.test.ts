/** The start of a node whose Redis cannot be used, yet or ever; and a node that loses its Redis later. */
import { once } from 'node:events'
import { Authority } from '@breakwater/broker'
import { ConfigError } from '@breakwater/config'
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort, startRedisProcess } from '../kit/redis/redis-process.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { startWaitingNode, type WaitingNode } from '../kit/waiting-node.ts'
import { WireClient } from '../kit/wire-client.ts'
import { breakwater, expectOneLine, startBreakwater } from './command.ts'

function operatorOf(url: string): Redis {
  const operator = new Redis(url)
  onTestFinished(() => operator.disconnect())
  return operator
}

async function probe(node: WaitingNode, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`${node.admin}${path}`)
  return { status: response.status, body: await response.text() }
}

/** It is alive and says what it waits for; then it serves by itself. */
async function waitsFor(node: WaitingNode, reason: RegExp): Promise<void> {
  await expect
    .poll(() => probe(node, '/startupz'), { timeout: 8_000 })
    .toMatchObject({
      status: 503,
      body: expect.stringMatching(reason) as string,
    })
  expect(await probe(node, '/readyz')).toMatchObject({ status: 503 })
  expect(await probe(node, '/livez')).toEqual({ status: 200, body: 'alive\n' })
  expect(await probe(node, '/api/v1/nodes')).toMatchObject({ status: 503 })
}

async function serves(node: WaitingNode): Promise<void> {
  const { port } = await node.ready
  await using client = await WireClient.open({ host: '127.0.0.1', port })
  expect(await client.connect({ clientId: 'a', clean: false })).toMatchObject({ returnCode: 0 })
  for (const path of ['/startupz', '/readyz', '/livez'])
    expect((await probe(node, path)).status).toBe(200)
}

describe('a starting node answers probes and waits', () => {
  it('for a Redis that does not run, until it runs', async () => {
    await using redis = await startRedisProcess([])
    await using proxy = await startRedisProxy(redis.url)
    await proxy.refuse()
    await using node = await startWaitingNode({ redisUrl: proxy.url })
    await waitsFor(node, /^redis:\/\/127\.0\.0\.1:\d+: ECONNREFUSED; .*BREAKWATER_REDIS_URL/)
    expect((await probe(node, '/metrics')).body).toMatch(/^breakwater_redis_up 0$/m)
    await proxy.restore()
    await serves(node)
  })

  it('for a Redis that does not answer, and ends at once at a signal', async () => {
    await using redis = await startRedisProcess([])
    await using proxy = await startRedisProxy(redis.url)
    proxy.stall()
    await using node = await startWaitingNode({ redisUrl: proxy.url })
    await waitsFor(node, /the node is starting|no answer within 5000 ms/)
    await node.end()
    expect(node.lines.at(-1)).toMatchObject({ msg: 'node has stopped' })
  })

  it('for the rights of its Redis user', async () => {
    await using redis = await startRedisProcess([])
    const operator = operatorOf(redis.url)
    await operator.call('ACL', 'SETUSER', 'ann', 'on', '>one', '+@all', '~other:*', '&*')
    const url = redis.url.replace('redis://', 'redis://ann:one@')
    await using node = await startWaitingNode({ redisUrl: url })
    await waitsFor(node, /^NOPERM .*; give the user .*docs\/REDIS\.md/)
    await operator.call('ACL', 'SETUSER', 'ann', '~breakwater:*')
    await serves(node)
  })

  it('for a replica to become the master', async () => {
    await using redis = await startRedisProcess(['--replicaof', '127.0.0.1', '1'])
    await using node = await startWaitingNode({ redisUrl: redis.url })
    await waitsFor(node, /READONLY .*the master/)
    await operatorOf(redis.url).replicaof('NO', 'ONE')
    await serves(node)
  })

  it('for a Redis certificate that verifies, and for a Redis that speaks TLS', async () => {
    const authority = await Authority.create('redis')
    const { cert, key } = await authority.issue({ commonName: 'localhost', usage: 'server' })
    const tls = { ca: authority.pair.cert, cert, key }
    await using redis = await startRedisProcess([], { tls })
    await using stranger = await startWaitingNode({ redisUrl: redis.url })
    await waitsFor(stranger, /(UNABLE|SELF)\w+; set BREAKWATER_REDIS_CA/)
    const environment = { BREAKWATER_REDIS_URL: redis.url.replace('rediss:', 'redis:') }
    await using plain = await startWaitingNode({ redisUrl: redis.url, environment })
    await waitsFor(plain, /ECONNRESET; .*rediss:\/\//)
  })

  it('for a password that Redis accepts, and shows no password', async () => {
    await using redis = await startRedisProcess(['--requirepass', 'open'])
    const url = redis.url.replace('redis://', 'redis://:sesame@')
    await using node = await startWaitingNode({ redisUrl: url })
    await waitsFor(node, /^redis:\/\/127\S+: WRONGPASS .*BREAKWATER_REDIS_PASSWORD_FILE/)
    await operatorOf(redis.url.replace('redis://', 'redis://:open@')).config(
      'SET',
      'requirepass',
      'sesame',
    )
    await serves(node)
    expect(JSON.stringify(node.lines)).not.toMatch(/sesame|"open"/)
  })

  it('for a Redis that disconnects while the node reads its configuration', async () => {
    await using redis = await startRedisProcess([])
    await using proxy = await startRedisProxy(redis.url)
    // Behind the handshake, which asks for INFO in capitals.
    const lossy = proxy.silenceAfter('info\r\n')
    await using node = await startWaitingNode({ redisUrl: proxy.url })
    await lossy.silenced
    proxy.cut()
    await serves(node)
  })
})

describe('the start of a node ends', () => {
  const refusalOf = async (redisUrl: string): Promise<string> => {
    const end = startWaitingNode({ redisUrl }).then((node) => node.ready)
    const error = await end.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).message).not.toContain('\n')
    return (error as Error).message
  }

  it('at a database that the server does not have, in one line with exit code 1', async () => {
    await using redis = await startRedisProcess(['--databases', '4'])
    const environment = {
      BREAKWATER_LISTEN: 'mqtt://127.0.0.1:0',
      BREAKWATER_ADMIN: 'http://127.0.0.1:0',
      BREAKWATER_ALLOW_ANONYMOUS: 'true',
      BREAKWATER_REDIS_URL: `${redis.url}/99`,
    }
    expectOneLine(
      await breakwater(['serve'], { directory: temporaryDirectory('wait-'), environment }),
      /^breakwater: BREAKWATER_REDIS_URL: redis:\S+: SELECT 99: ERR DB index is out of range; use a/,
    )
    expect(await operatorOf(redis.url).dbsize()).toBe(0)
  })

  it('at a database that the Redis user may not select', async () => {
    await using redis = await startRedisProcess([])
    const rights = ['on', '>one', '~*', '&*', '+@all', '-select']
    await operatorOf(redis.url).call('ACL', 'SETUSER', 'ann', ...rights)
    const url = redis.url.replace('redis://', 'redis://ann:one@')
    expect(await refusalOf(`${url}/1`)).toMatch(/SELECT 1: NOPERM .*\+select/)
  })

  it.each(['?db=3', '/0/1', '#1'])('at a Redis address that ends with %s', async (rest) => {
    expect(await refusalOf(`redis://127.0.0.1:1${rest}`)).toMatch(/^BREAKWATER_REDIS_URL: /)
  })

  it('at a stored format that only a later version knows', async () => {
    await using redis = await startRedisProcess([])
    await operatorOf(redis.url).set(keysWith('breakwater:').clusterFormat, '99')
    expect(await refusalOf(redis.url)).toMatch(
      /^BREAKWATER_REDIS_URL: .* has format 99.*newer version/,
    )
  })

  it('at a redis-cluster:// address of a server outside a Redis Cluster', async () => {
    await using redis = await startRedisProcess([])
    expect(await refusalOf(redis.url.replace('redis:', 'redis-cluster:'))).toMatch(
      /is no Redis Cluster: use redis:/,
    )
  })
})

it('a process that waits for Redis ends with exit code 0 at a signal', async () => {
  const child = startBreakwater(['serve'], {
    directory: temporaryDirectory('wait-'),
    environment: {
      BREAKWATER_LISTEN: 'mqtt://127.0.0.1:0',
      BREAKWATER_ADMIN: 'http://127.0.0.1:0',
      BREAKWATER_ALLOW_ANONYMOUS: 'true',
      BREAKWATER_REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
    },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.includes('ECONNREFUSED')) child.kill('SIGTERM')
  }
  if (child.exitCode === null) await once(child, 'exit')
  expect(child.exitCode).toBe(0)
  expect(said.trimEnd().split('\n').at(-1)).toContain('node has stopped')
})

it('a started node goes on, whatever Redis does afterwards', async () => {
  await using redis = await startRedisProcess(['--databases', '4'])
  await using few = await startRedisProcess(['--databases', '1'])
  await using proxy = await startRedisProxy(redis.url)
  await using node = await startWaitingNode({ redisUrl: `${proxy.url}/3` })
  await serves(node)
  proxy.moveTo(few.url)
  await expect
    .poll(async () => (await probe(node, '/readyz')).body)
    .toMatch(/^ready; Redis: SELECT 3: ERR DB index is out of range; /)
  expect(await probe(node, '/readyz')).toMatchObject({ status: 200 })
  expect((await probe(node, '/metrics')).body).toMatch(
    /^breakwater_redis_faults_total\{kind="database"\} [1-9]/m,
  )
  proxy.moveTo(redis.url)
  await expect
    .poll(async () => (await probe(node, '/metrics')).body)
    .toMatch(/^breakwater_redis_up 1$/m)
  await serves(node)
  expect(await operatorOf(few.url).dbsize()).toBe(0)
})
