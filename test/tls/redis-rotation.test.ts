/** Redis credentials that change under a running node, in both orders, and credentials that Redis refuses. */
import { Authority } from '@breakwater/broker'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedisProcess } from '../kit/redis/redis-process.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { WireClient } from '../kit/wire-client.ts'
import { MountedSecret } from './mounted-secret.ts'

const FILE = 'BREAKWATER_REDIS_PASSWORD_FILE'
const IN_USE = 'file changed: the new version is in use'
const REFUSED = 'file changed: the new version is refused, the old one stays in use'

async function metricsOf(node: TestNode): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
}

async function isUp(node: TestNode): Promise<boolean> {
  return /^breakwater_redis_up 1$/m.test(await metricsOf(node))
}

async function takesSessions(node: TestNode, clientId: string): Promise<void> {
  // Each connection comes back in its own time.
  const tried = async (): Promise<number> => {
    await using client = await WireClient.open(node)
    return (await client.connect({ clientId, clean: false })).returnCode
  }
  await expect.poll(tried, { timeout: 10_000 }).toBe(0)
}

/** Every connection is lost, and made again. */
async function reconnects(node: TestNode, proxy: { cut(): void }): Promise<void> {
  proxy.cut()
  await expect.poll(() => isUp(node)).toBe(true)
  await takesSessions(node, 'a')
}

function times(node: TestNode, wanted: string): number {
  return node.logs().filter(({ msg }) => msg === wanted).length
}

test('the Redis password can be replaced first in the file or first at the server, and a wrong password leaves the old one in use', async () => {
  await using redis = await startRedisProcess(['--requirepass', 'one'])
  await using proxy = await startRedisProxy(redis.url)
  const secret = new MountedSecret({ password: 'one\n' })
  const environment = { [FILE]: secret.path('password') }
  await using node = await startNode({ redisUrl: proxy.url, environment })
  const operator = new Redis(redis.url.replace('redis://', 'redis://:one@'))
  onTestFinished(() => operator.disconnect())

  // The file first: Redis does not take it yet.
  secret.update({ password: 'two\n' })
  const line = await node.logged(({ msg }) => msg === REFUSED)
  expect(line).toMatchObject({ why: expect.stringContaining('WRONGPASS') as string })
  await reconnects(node, proxy)
  await operator.config('SET', 'requirepass', 'two')
  await reconnects(node, proxy)
  expect(times(node, IN_USE)).toBe(1)

  // The server first: connections that there are stay, new ones are refused until the file is there.
  await operator.config('SET', 'requirepass', 'three')
  proxy.cut()
  await node.logged(({ fault }) => fault === 'password')
  await expect
    .poll(async () => {
      const ready = await fetch(`http://127.0.0.1:${node.adminPort}/readyz`)
      return `${ready.status} ${await ready.text()}`
    })
    .toMatch(/^200 ready; Redis: .*WRONGPASS/)
  expect(await metricsOf(node)).toMatch(/^breakwater_redis_faults_total\{kind="password"\} [1-9]/m)
  secret.update({ password: 'three\n' })
  await expect.poll(() => isUp(node), { timeout: 8_000 }).toBe(true)
  await takesSessions(node, 'b')
  expect(JSON.stringify(node.logs())).not.toMatch(/"(one|two|three)"/)
})

test('the Redis authority and client certificate can be replaced, and files that do not match are not used', async () => {
  const [before, after] = [await Authority.create('before'), await Authority.create('after')]
  const options = {
    commonName: 'localhost',
    usage: 'server',
    alternativeNames: ['127.0.0.1'],
  } as const
  const serverOf = async (authority: Authority) => ({
    ca: authority.pair.cert,
    ...(await authority.issue(options)),
  })
  const clientOf = async (authority: Authority) => {
    const { cert, key } = await authority.issue({ commonName: 'node', usage: 'client' })
    return { 'ca.crt': authority.pair.cert, 'tls.crt': cert, 'tls.key': key }
  }
  await using one = await startRedisProcess([], { tls: await serverOf(before) })
  await using other = await startRedisProcess([], { tls: await serverOf(after) })
  await using proxy = await startRedisProxy(one.url)
  const files = await clientOf(before)
  const secret = new MountedSecret(files)
  await using node = await startNode({
    redisUrl: proxy.url,
    environment: {
      BREAKWATER_REDIS_CA: secret.path('ca.crt'),
      BREAKWATER_REDIS_CERT: secret.path('tls.crt'),
      BREAKWATER_REDIS_KEY: secret.path('tls.key'),
    },
  })
  const stranger = await clientOf(after)
  secret.update({ ...files, 'tls.key': stranger['tls.key'] })
  const line = await node.logged(({ msg }) => msg === REFUSED)
  expect(line).toMatchObject({ why: expect.stringMatching(/BREAKWATER_REDIS_KEY: /) as string })
  await reconnects(node, proxy)

  secret.update(stranger)
  proxy.moveTo(other.url)
  await expect.poll(() => isUp(node), { timeout: 8_000 }).toBe(true)
  await takesSessions(node, 'b')
  expect(times(node, IN_USE)).toBe(3)
})

test('the ticket wrap key can be replaced, and keys wrapped under the previous one can still be read', async () => {
  await using redis = await startRedisProcess([])
  const secret = new MountedSecret({ key: Buffer.from(crypto.getRandomValues(new Uint8Array(32))) })
  const environment = { BREAKWATER_TLS_TICKET_WRAP_KEY: secret.path('key') }
  await using node = await startNode({ redisUrl: redis.url, environment })
  secret.update({ key: 'too short' })
  const line = await node.logged(({ msg }) => msg === REFUSED)
  expect(line).toMatchObject({ why: expect.stringContaining('32 random bytes') as string })
  secret.update({ key: Buffer.from(crypto.getRandomValues(new Uint8Array(32))) })
  await node.logged(({ msg }) => msg === IN_USE)
  expect(node.logs().filter(({ msg }) => String(msg).includes('was encrypted with'))).toEqual([])
})
