/**
 * The rights of a client are checked once more as its session goes live. Each client here waits for Redis, which has been
 * asked for its session and does not answer, while the source of its rights changes.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Authority, setPassword } from '@breakwater/broker'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { adminEnvironment, askAdmin } from '../kit/admin-client.ts'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient, type WireAddress } from '../kit/wire-client.ts'
import type { ConnectFields } from '../kit/wire-encoder.ts'
import { MountedSecret } from '../tls/mounted-secret.ts'
import { startHttpService } from './http-service.ts'
import { startRuled } from './ruled.ts'

const OPEN = "rules: [{ allow: [publish, subscribe], topics: ['#'] }]"
const NARROW = "rules: [{ allow: [publish, subscribe], topics: ['own/#'] }]"

let redis: TestRedis
let proxy: RedisProxy
let behindProxy: NodeOptions
beforeAll(async () => {
  redis = await startRedis()
  proxy = await startRedisProxy(redis.url)
  behindProxy = { redisUrl: proxy.url, redisPrefix: redis.prefix }
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

/** Sends CONNECT, and makes the change while Redis is asked for the session. Returns the client and its code. */
async function connectWhile(
  address: WireAddress,
  fields: ConnectFields & { readonly clientId: string },
  change: () => Promise<unknown>,
): Promise<{ client: WireClient; returnCode: number | undefined }> {
  const client = await WireClient.open(address)
  const claim = proxy.silenceAfter(fields.clientId)
  const connack = client.connect(fields).then(
    ({ returnCode }) => returnCode,
    () => undefined,
  )
  const early = connack.then((code) => {
    throw new Error(`CONNACK ${code} came before Redis was asked`)
  })
  await Promise.race([claim.silenced, early])
  early.catch(() => undefined)
  await change()
  claim.release()
  return { client, returnCode: await connack }
}

async function reasonOf(node: TestNode, clientId: string): Promise<unknown> {
  const line = await node.logged(
    (one) => one['msg'] === 'connection closed' && one['clientId'] === clientId,
  )
  return line['reason']
}

test('new rules apply to a client that connects while the rules change, and to its session', async () => {
  await using ruled = await startRuled(OPEN, behindProxy)
  const clientId = unique('c')
  await using before = await connectAt(ruled.node, { clientId, clean: false })
  await before.subscribe(['open/a', 1])
  await before.subscribe(['own/a', 1])
  await before.disconnect()
  const { client, returnCode } = await connectWhile(ruled.node, { clientId, clean: false }, () =>
    ruled.change(NARROW),
  )
  await using _ = client
  expect(returnCode).toBe(0)
  expect(await client.subscribe(['open/b', 1])).toEqual([0x80])
  await using publisher = await connectAt(ruled.node)
  await ruled.change(OPEN)
  await publisher.publish({ topic: 'open/a', payload: 'not any more', qos: 1 })
  await publisher.publish({ topic: 'own/a', payload: 'mine', qos: 1 })
  expect(await client.receive(1)).toMatchObject([{ topic: 'own/a' }])
})

test('a CONNECT is refused when new rules deny its will before the session goes live', async () => {
  await using ruled = await startRuled(OPEN, behindProxy)
  const clientId = unique('c')
  const will = { topic: 'open/last', payload: 'words', qos: 1 as const }
  const { client, returnCode } = await connectWhile(ruled.node, { clientId, will }, () =>
    ruled.change(NARROW),
  )
  await using _ = client
  expect(returnCode).toBe(5)
  expect(await reasonOf(ruled.node, clientId)).toBe('not-authorized')
})

test('a filter that new rules deny while the filter is being stored is refused', async () => {
  await using ruled = await startRuled(OPEN, behindProxy)
  await using client = await connectAt(ruled.node, { clean: false })
  const filter = unique('open/filter')
  const stored = proxy.silenceAfter(filter)
  const answer = client.subscribe([filter, 1]).catch(() => 'closed')
  await stored.silenced
  await ruled.change(NARROW)
  stored.release()
  expect(await answer).toBe('closed')
  expect(ruled.node.closeReasons()).toEqual(['access-revoked'])
})

test('a login is refused when its password is removed from the file before the session goes live', async () => {
  const file = join(temporaryDirectory('users-'), 'passwords')
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  const ann = await setPassword('', 'ann', 'sesame')
  const others = await setPassword('', 'bob', 'sesame')
  put(ann)
  await using node = await startNode({
    ...behindProxy,
    allowAnonymous: false,
    environment: { BREAKWATER_PASSWORD_FILE: file },
  })
  const change = async (text: string): Promise<void> => {
    const before = node.logs().length
    put(text)
    await expect
      .poll(
        () =>
          node
            .logs()
            .slice(before)
            .some(({ path }) => path === file),
        { timeout: 15_000 },
      )
      .toBe(true)
  }
  const login = { username: 'ann', password: 'sesame' }
  // Neither a check nor a password that was right before outlives the line.
  for (const text of [others, others + (await setPassword('', 'ann', 'another'))]) {
    const clientId = unique('c')
    const fields = { clientId, ...login }
    const { client, returnCode } = await connectWhile(node, fields, () => change(text))
    await using _ = client
    expect(returnCode).toBe(4)
    expect(await reasonOf(node, clientId)).toBe('bad-credentials')
    await change(ann)
  }
  const { client, returnCode } = await connectWhile(node, { clientId: unique('c'), ...login }, () =>
    change(others + ann),
  )
  await using _ = client
  expect(returnCode).toBe(0)
})

test('a login that expires while the client waits for its session never gets CONNACK 0', async () => {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true })
  const keys = join(temporaryDirectory('jwt-'), 'keys.json')
  writeFileSync(keys, JSON.stringify({ keys: [await exportJWK(publicKey)] }))
  await using node = await startNode({
    ...behindProxy,
    allowAnonymous: false,
    environment: { BREAKWATER_JWT_KEYS: keys },
  })
  const endS = Math.floor(Date.now() / 1_000) + 2
  const token = new SignJWT({}).setProtectedHeader({ alg: 'EdDSA' }).setSubject('ann')
  const password = await token.setExpirationTime(endS).sign(privateKey)
  const clientId = unique('c')
  const { client, returnCode } = await connectWhile(
    node,
    { clientId, username: 'ann', password },
    () => delay(Math.max(0, endS * 1_000 - Date.now()) + 1),
  )
  await using _ = client
  expect(returnCode).not.toBe(0)
  expect(await reasonOf(node, clientId)).toBe('login-expired')
})

test.each(['clientId', 'username'])(
  'a client is refused when its %s is revoked while the client waits for its session',
  async (key) => {
    const users = { ann: 'sesame' }
    const environment = adminEnvironment()
    await using node = await startNode({ ...behindProxy, users, environment })
    await using other = await startNode({ ...behindProxy, redisUrl: redis.url, environment })
    const clientId = unique('c')
    const value = { clientId, username: 'ann' }[key]
    const change = async (): Promise<void> => {
      const { status } = await askAdmin(other, 'POST', 'revocations', { body: { [key]: value } })
      expect(status).toBe(201)
      await expect
        .poll(async () => JSON.stringify((await askAdmin(node, 'GET', 'revocations')).body))
        .toContain(value)
    }
    const fields = { clientId, username: 'ann', password: 'sesame' }
    const { client, returnCode } = await connectWhile(node, fields, change)
    await using _ = client
    expect(returnCode).toBe(5)
    expect(await reasonOf(node, clientId)).toBe('revoked')
  },
)

test('a client is refused when its certificate is revoked while the client waits for its session', async () => {
  const authority = await Authority.create('devices')
  const device = await authority.issue({ commonName: 'buoy', usage: 'client' })
  const files = async (
    certificates: readonly string[],
    at: number,
  ): Promise<Record<string, string>> => ({
    'ca.crt': authority.pair.cert,
    'crl.pem': await authority.revoke({ certificates, thisUpdate: new Date(at) }),
  })
  const secret = new MountedSecret(await files([], 1_000))
  const names = `client-auth=required&identity=cn&client-ca=${secret.path('ca.crt')}&crl=${secret.path('crl.pem')}`
  await using node = await startNode({ ...behindProxy, listen: [`mqtts://127.0.0.1:0?${names}`] })
  const address = {
    host: node.host,
    port: node.tlsPort,
    tls: { ca: node.ca, servername: 'localhost', ...device },
  }
  const clientId = unique('c')
  const { client, returnCode } = await connectWhile(address, { clientId }, async () => {
    secret.update(await files([device.cert], 2_000))
    await node.logged(({ msg }) => msg === 'new certificates are in use')
  })
  await using _ = client
  expect(returnCode).toBe(5)
  expect(await reasonOf(node, clientId)).toBe('revoked')
})

test('a client that the admin API of any node closes while it waits for its session gets CONNACK 3', async () => {
  const environment = adminEnvironment()
  await using node = await startNode({ ...behindProxy, environment })
  await using other = await startNode({ ...behindProxy, redisUrl: redis.url, environment })
  for (const [asked, status] of [
    [node, 204],
    [other, 202],
  ] as const) {
    const clientId = unique('c')
    let answer: ReturnType<typeof askAdmin> | undefined
    const { client, returnCode } = await connectWhile(node, { clientId }, async () => {
      answer = askAdmin(asked, 'DELETE', `clients?clientId=${clientId}`)
      await reasonOf(node, clientId)
    })
    expect((await answer)?.status).toBe(status)
    await using _ = client
    expect(returnCode).toBe(3)
    expect(await reasonOf(node, clientId)).toBe('kicked')
  }
})

test('a client that the admin API of any node closes while its password is checked gets CONNACK 3', async () => {
  const asking = Promise.withResolvers<void>()
  const answers: (() => void)[] = []
  await using service = await startHttpService((response) => {
    answers.push(() => response.end('{"result":"allow"}'))
    if (answers.length === 2) asking.resolve()
  })
  const environment = { ...adminEnvironment(), BREAKWATER_AUTH_HTTP_URL: service.url }
  const settings = { redisUrl: redis.url, redisPrefix: redis.prefix, environment }
  await using node = await startNode({ ...settings, allowAnonymous: false })
  await using other = await startNode({ ...settings, allowAnonymous: false })
  const ids = [unique('c'), unique('c')] as const
  const connacks = ids.map(async (clientId) => {
    await using client = await WireClient.open(node)
    return (await client.connect({ clientId, username: 'ann', password: 'sesame' })).returnCode
  })
  await asking.promise
  const [near, far] = ids
  expect((await askAdmin(node, 'DELETE', `clients?clientId=${near}`)).status).toBe(204)
  // Nobody else knows of it before its client id is claimed.
  expect((await askAdmin(other, 'DELETE', `clients?clientId=${far}`)).status).toBe(404)
  expect(await Promise.all(connacks)).toEqual([3, 3])
  for (const clientId of ids) expect(await reasonOf(node, clientId)).toBe('kicked')
  for (const answer of answers) answer()
})

test('a login that an HTTP hook allowed is refused when rules, revocations or its end say so before the session goes live', async () => {
  const answer = { result: 'allow', username: 'hilda', claims: { site: 'north' } }
  await using service = await startHttpService((response) => {
    response.end(JSON.stringify({ ...answer, expiresAt: endS }))
  })
  let endS = 0
  const environment = { ...adminEnvironment(), BREAKWATER_AUTH_HTTP_URL: service.url }
  await using ruled = await startRuled(OPEN, { ...behindProxy, environment, allowAnonymous: false })
  const { node } = ruled
  await using other = await startNode({ ...behindProxy, redisUrl: redis.url, environment })
  const will = { topic: 'open/last', payload: 'words', qos: 1 as const }
  const inForce = async (): Promise<string> =>
    JSON.stringify((await askAdmin(node, 'GET', 'revocations')).body)
  const revoke = async (): Promise<void> => {
    const { status } = await askAdmin(other, 'POST', 'revocations', { body: { username: 'hilda' } })
    expect(status).toBe(201)
    await expect.poll(inForce).toContain('hilda')
  }
  const takeBack = async (): Promise<void> => {
    const { status } = await askAdmin(other, 'DELETE', 'revocations?id=username:hilda')
    expect(status).toBe(204)
    await expect.poll(inForce).not.toContain('hilda')
  }
  const narrow = (): Promise<void> => ruled.change(NARROW)
  const ends = (): Promise<void> => delay(Math.max(0, endS * 1_000 - Date.now()) + 1)
  // Each with another password: an answer is remembered for the one that it was given for.
  for (const [reason, code, validS, change, after] of [
    ['revoked', 5, 3_600, revoke, takeBack],
    ['login-expired', 4, 2, ends, undefined],
    ['not-authorized', 5, 3_600, narrow, undefined],
  ] as const) {
    const clientId = unique('c')
    endS = Math.floor(Date.now() / 1_000 + validS)
    const fields = { clientId, username: 'hilda', password: reason, will }
    const { client, returnCode } = await connectWhile(node, fields, change)
    await using _ = client
    expect([reason, returnCode]).toEqual([reason, code])
    expect(await reasonOf(node, clientId)).toBe(reason)
    await after?.()
  }
})
