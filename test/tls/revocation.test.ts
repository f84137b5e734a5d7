/** A client that is revoked by the admin API is disconnected at every node, and cannot come back. */
import { X509Certificate, randomBytes } from 'node:crypto'
import { Authority, type CertificatePair, type LeafOptions } from '@breakwater/broker'
import { keysWith } from '@breakwater/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { adminEnvironment, askAdmin, type AdminAnswer } from '../kit/admin-client.ts'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import type { ConnectFields } from '../kit/wire-encoder.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet, type Peer } from './tls-peer.ts'

const PATIENCE = { interval: 50 } as const
const WIRE = { timeoutMs: 20_000 } as const

const authority = await Authority.create('devices')
const secret = new MountedSecret({ 'ca.crt': authority.pair.cert, 'ticket.key': randomBytes(48) })

interface Device {
  readonly pair: CertificatePair
  readonly clientId: string
  readonly name: string
  readonly certificate: X509Certificate
}

async function deviceOf(options: Partial<LeafOptions> = {}): Promise<Device> {
  const name = unique('device')
  const pair = await authority.issue({ commonName: name, usage: 'client', ...options })
  return { pair, name, clientId: unique('c'), certificate: new X509Certificate(pair.cert) }
}

const environment = {
  BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
  BREAKWATER_TLS_TICKET_KEY: secret.path('ticket.key'),
  ...adminEnvironment(),
}
const common: NodeOptions = {
  listen: ['mqtts://127.0.0.1:0?client-auth=required&identity=cn'],
  environment,
}

function nodeOn({ prefix }: TestRedis, proxy: Pick<RedisProxy, 'url'>): Promise<TestNode> {
  return startNode({ ...common, redisUrl: proxy.url, redisPrefix: prefix })
}

async function connected(node: TestNode, { pair, clientId }: Device): Promise<WireClient> {
  const tls = { ca: node.ca, servername: 'localhost', ...pair }
  const client = await WireClient.open({ host: node.host, port: node.tlsPort, tls }, WIRE)
  expect((await client.connect({ clientId })).returnCode).toBe(0)
  return client
}

function meetAt(
  node: TestNode,
  { pair, clientId }: Device,
  options: object = {},
  mqtt: ConnectFields = { clientId },
): Promise<Peer> {
  return meet({ port: node.tlsPort, ca: node.ca, ...pair, ...options }, mqtt)
}

/** `reason detail` of the connection that had this address. */
async function endOf(node: TestNode, { address }: Peer): Promise<string> {
  const { reason, detail } = await node.logged(
    ({ msg, peer }) => msg === 'connection closed' && peer === address,
  )
  return `${String(reason)} ${String(detail)}`
}

async function endOfClient(node: TestNode, { clientId }: Device): Promise<string> {
  const { reason, detail } = await node.logged(
    (line) => line['msg'] === 'connection closed' && line['clientId'] === clientId,
  )
  return `${String(reason)} ${String(detail)}`
}

async function revoke(node: TestNode, body: object): Promise<AdminAnswer> {
  const answer = await askAdmin(node, 'POST', 'revocations', { body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer
}

interface Listed {
  readonly id: string
  readonly until: string | null
}

async function listedAt(node: TestNode, id: string): Promise<Listed | undefined> {
  const { body } = await askAdmin(node, 'GET', 'revocations')
  const all = (body?.['revocations'] ?? []) as readonly Listed[]
  return all.find((one) => one.id === id)
}

async function letInAgain(node: TestNode, device: Device): Promise<void> {
  await expect
    .poll(async () => {
      using peer = await meetAt(node, device)
      return peer.returnCode
    }, PATIENCE)
    .toBe(0)
}

describe('in a cluster,', () => {
  const resources = new AsyncDisposableStack()
  let redis: TestRedis
  let proxy: RedisProxy
  let near: TestNode
  let far: TestNode
  let bystander: WireClient

  beforeAll(async () => {
    redis = resources.use(await startRedis())
    // Of the far node alone.
    proxy = resources.use(await startRedisProxy(redis.url))
    near = resources.use(await nodeOn(redis, redis))
    far = resources.use(await nodeOn(redis, proxy))
    bystander = resources.use(await connected(far, await deviceOf()))
  }, 60_000)
  afterAll(() => resources.disposeAsync())

  it.each([
    ['serial', ({ certificate }: Device) => certificate.serialNumber],
    ['fingerprint', ({ certificate }: Device) => certificate.fingerprint256.replaceAll(':', '')],
    ['clientId', ({ clientId }: Device) => clientId],
    ['username', ({ name }: Device) => name],
  ] as const)(
    'a client is revoked by its %s at another node, until the revocation is deleted',
    async (key, of) => {
      const device = await deviceOf()
      const id = `${key}:${of(device)}`
      await using client = await connected(far, device)
      const { body } = await revoke(near, { [key]: of(device), reason: 'lost' })
      expect(body).toMatchObject({ revocation: { id, reason: 'lost' }, survivesRestart: true })
      await client.untilClosed()
      expect(await endOfClient(far, device)).toBe(`revoked ${id}`)
      for (const node of [near, far]) {
        using again = await meetAt(node, device)
        expect(again.returnCode).toBe(5)
        expect(await endOf(node, again)).toBe(`revoked ${id}`)
      }
      await bystander.expectSilence()
      const { status } = await askAdmin(far, 'DELETE', `revocations/${encodeURIComponent(id)}`)
      expect(status).toBe(204)
      for (const node of [near, far]) await letInAgain(node, device)
      expect((await askAdmin(far, 'DELETE', `revocations/${encodeURIComponent(id)}`)).status).toBe(
        404,
      )
    },
  )

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a revoked client is refused with a ticket from before, over %s',
    async (version) => {
      const device = await deviceOf()
      const tls = { minVersion: version, maxVersion: version }
      using before = await meetAt(near, device, tls)
      expect(before.returnCode).toBe(0)
      await revoke(near, { serial: device.certificate.serialNumber.toLowerCase() })
      expect(await endOf(near, before)).toMatch(/^revoked serial:/)
      await expect
        .poll(() => listedAt(far, `serial:${device.certificate.serialNumber}`), PATIENCE)
        .toBeDefined()
      for (const node of [near, far]) {
        using again = await meetAt(node, device, { ...tls, session: before.ticket })
        expect([again.reused, again.returnCode]).toEqual([true, 5])
        expect(await endOf(node, again)).toMatch(/^revoked serial:/)
      }
    },
  )

  it('a cut-off node keeps its revocations, and gets the missed ones when it is back', async () => {
    const [early, late] = [await deviceOf(), await deviceOf()]
    await revoke(near, { username: early.name })
    await expect.poll(() => listedAt(far, `username:${early.name}`), PATIENCE).toBeDefined()
    await using client = await connected(far, late)
    await proxy.refuse()
    await revoke(near, { username: late.name })
    const { status } = await askAdmin(far, 'POST', 'revocations', { body: { clientId: 'x' } })
    expect(status).toBe(503)
    expect(await listedAt(far, `username:${early.name}`)).toBeDefined()
    await client.expectSilence()
    await proxy.restore()
    await client.untilClosed()
    expect(await endOfClient(far, late)).toBe(`revoked username:${late.name}`)
    await bystander.expectSilence()
  })

  it('nodes restore revocations that Redis has lost, and a new node reads them', async () => {
    const device = await deviceOf()
    await revoke(near, { clientId: device.clientId })
    const operator = new Redis(redis.url)
    const key = keysWith(redis.prefix).clusterRevocations
    const field = `clientId:${device.clientId}`
    await operator.del(key)
    await expect.poll(() => operator.hexists(key, field), PATIENCE).toBe(1)
    operator.disconnect()
    await using fresh = await nodeOn(redis, redis)
    using peer = await meetAt(fresh, device)
    expect(peer.returnCode).toBe(5)
  })

  it('a revocation is listed with the expiry of the certificate that it matches, and removed at that time', async () => {
    const notAfter = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 5_000)
    const device = await deviceOf({ notAfter })
    await using client = await connected(far, device)
    const serial = device.certificate.serialNumber
    const id = `serial:${serial}`
    await revoke(near, { serial })
    await client.untilClosed()
    await expect
      .poll(async () => (await listedAt(near, id))?.until, PATIENCE)
      .toBe(notAfter.toISOString())
    const operator = new Redis(redis.url)
    const key = keysWith(redis.prefix).clusterRevocations
    await expect.poll(() => operator.hexists(key, id), PATIENCE).toBe(0)
    operator.disconnect()
    expect(Date.now()).toBeGreaterThanOrEqual(notAfter.getTime())
    for (const node of [near, far])
      await expect.poll(() => listedAt(node, id), PATIENCE).toBeUndefined()
  })
})

it('a revocation stays in force when all nodes restart', async () => {
  await using redis = await startRedis()
  const [revoked, other] = [await deviceOf(), await deviceOf()]
  {
    await using node = await nodeOn(redis, redis)
    await revoke(node, { username: revoked.name, until: '2999-01-01T00:00:00Z' })
  }
  await using node = await nodeOn(redis, redis)
  expect((await listedAt(node, `username:${revoked.name}`))?.until).toBe('2999-01-01T00:00:00.000Z')
  using peer = await meetAt(node, revoked)
  expect(await endOf(node, peer)).toBe(`revoked username:${revoked.name}`)
  await using _client = await connected(node, other)
})

it('a revocation at a node without Redis is in force, and the answer says that it ends with the node', async () => {
  await using node = await startNode(common)
  const [revoked, other] = [await deviceOf(), await deviceOf()]
  await using client = await connected(node, revoked)
  await using bystander = await connected(node, other)
  const { body } = await revoke(node, { fingerprint: revoked.certificate.fingerprint256 })
  expect(body).toMatchObject({ closedHere: 1, survivesRestart: false })
  expect(body?.['revocation']).toMatchObject({
    until: new Date(revoked.certificate.validTo).toISOString(),
  })
  await client.untilClosed()
  using again = await meetAt(node, revoked)
  expect(await endOf(node, again)).toMatch(/^revoked fingerprint:/)
  await bystander.expectSilence()
})
