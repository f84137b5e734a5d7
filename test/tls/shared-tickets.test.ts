/** The TLS ticket key that nodes generate: wrapped in Redis, the same at all nodes, replaced in time. */
import { createDecipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls, type SecureVersion } from 'node:tls'
import { Authority } from '@breakwater/broker'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCluster, type Cluster } from '../cluster/cluster.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { meet, type Peer } from './tls-peer.ts'

const ROTATION_MS = 2_000
const IN_USE = 'TLS ticket key rotated'
const UNREADABLE = /^the TLS ticket key in Redis was encrypted with another/
const versions = ['TLSv1.2', 'TLSv1.3'] as const
const authority = await Authority.create('devices')
const device = await authority.issue({ commonName: 'buoy-7', usage: 'client' })
const directory = temporaryDirectory('wrap-')
const wrapKey = randomBytes(32)

function file(name: string, content: string | Buffer): string {
  writeFileSync(join(directory, name), content)
  return join(directory, name)
}

const environment = {
  BREAKWATER_TLS_CLIENT_CA: file('ca.crt', authority.pair.cert),
  BREAKWATER_TLS_CLIENT_AUTH: 'required',
  BREAKWATER_TLS_IDENTITY: 'cn',
  BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0',
  BREAKWATER_CLIENT_ID: '${username}',
  BREAKWATER_TLS_TICKET_WRAP_KEY: file('wrap.key', wrapKey),
}

function at(
  node: TestNode,
  version: SecureVersion = 'TLSv1.3',
  session?: Buffer,
  clientId = 'buoy-7',
): Promise<Peer> {
  const tls = { port: node.tlsPort, ca: node.ca, minVersion: version, maxVersion: version }
  return meet({ ...tls, ...device, ...(session === undefined ? {} : { session }) }, { clientId })
}

function said(node: TestNode, fits: (msg: string) => boolean): number {
  return node.logs().filter(({ msg }) => fits(String(msg))).length
}

/** What a node does with a text that it finds, written down a second time. */
function unwrap(text: string, place: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  const decipher = createDecipheriv('aes-256-gcm', wrapKey, bytes.subarray(0, 12))
  decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(12, 28))
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])
}

describe('nodes with one wrap key', () => {
  let cluster: Cluster
  let redis: Redis
  beforeAll(async () => {
    cluster = await startCluster({ environment })
    redis = new Redis(cluster.redis.url)
  })
  afterAll(async () => {
    redis.disconnect()
    await cluster[Symbol.asyncDispose]()
  })

  it.each(versions)(
    'resume TLS sessions of each other, with the certificate name (%s)',
    async (version) => {
      using first = await at(cluster.a, version)
      expect([first.reused, first.returnCode]).toEqual([false, 0])
      using second = await at(cluster.b, version, first.ticket)
      expect([second.reused, second.returnCode]).toEqual([true, 0])
      using third = await at(cluster.c, version, second.ticket ?? first.ticket, 'buoy-8')
      expect([third.reused, third.returnCode]).toEqual([true, 2])
    },
  )

  it('keep no part of the ticket key unencrypted in Redis', async () => {
    const place = `${cluster.redis.prefix}v1:{cluster}:tickets`
    const values = Object.values(await redis.hgetall(place))
    expect(values).toHaveLength(1)
    const [text = ''] = values
    const key = unwrap(text, place)
    expect(key).toHaveLength(48)
    const shown = Buffer.from(text, 'base64')
    // Not the AES key, nor the one of the HMAC: nor the name, by which a ticket could be told to be of this key.
    for (const part of [0, 16, 32])
      expect(shown.includes(key.subarray(part, part + 16))).toBe(false)
    const line = cluster.a.logs().find(({ msg }) => msg === IN_USE)
    const page = await MetricsPage.of(cluster.a)
    expect(page.value('breakwater_tls_ticket_key_timestamp_seconds')).toBe(
      Date.parse(String(line?.['from'])) / 1_000,
    )
  })

  it('keep their ticket key while Redis is unreachable, also after new certificates', async () => {
    using first = await at(cluster.a)
    await cluster.proxy.refuse()
    // Only the TLS handshake: no client gets an MQTT session now.
    const { ca, tlsPort: port } = cluster.b
    const session = first.ticket ?? Buffer.alloc(0)
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      ca,
      servername: 'localhost',
      ...device,
      session,
    })
    await once(socket, 'secureConnect')
    expect(socket.isSessionReused()).toBe(true)
    socket.destroy()
    await cluster.proxy.restore()
    file('ca.crt', `${authority.pair.cert}\n`)
    const renewed = 'new certificates are in use'
    for (const node of [cluster.a, cluster.b]) await node.logged(({ msg }) => msg === renewed)
    using third = await at(cluster.a)
    using fourth = await at(cluster.b, 'TLSv1.3', third.ticket)
    expect([third.reused, fourth.reused]).toEqual([false, true])
  })

  it('a node with another wrap key logs that once, and its tickets are accepted only at that node', async () => {
    await using other = await startNode({
      ...cluster.settings,
      environment: {
        ...environment,
        BREAKWATER_TLS_TICKET_WRAP_KEY: file('other.key', randomBytes(32)),
      },
    })
    const [line] = other.logs().filter(({ msg }) => UNREADABLE.test(String(msg)))
    expect(line?.['level']).toBe('error')
    using first = await at(other)
    using again = await at(other, 'TLSv1.3', first.ticket)
    expect([first.returnCode, again.reused]).toEqual([0, true])
    using elsewhere = await at(cluster.a, 'TLSv1.3', first.ticket)
    using back = await at(other, 'TLSv1.3', elsewhere.ticket)
    expect([elsewhere.reused, back.reused]).toEqual([false, false])
    expect(said(other, (msg) => UNREADABLE.test(msg))).toBe(1)
    expect(said(other, (msg) => msg === IN_USE)).toBe(0)
  })
})

it('a ticket key is distributed before its use, and afterwards old tickets lead to full handshakes without an error', async () => {
  await using cluster = await startCluster({
    environment,
    limits: { ticketKeyRotationMs: ROTATION_MS },
  })
  const redis = new Redis(cluster.redis.url)
  await using stack = new AsyncDisposableStack()
  stack.defer(() => redis.disconnect())
  const { a, b } = cluster
  using first = await at(a)
  const uses = said(b, (msg) => msg === IN_USE)
  const ahead = async (): Promise<boolean> => {
    const froms = await redis.hkeys(`${cluster.redis.prefix}v1:{cluster}:tickets`)
    const [seconds = 0, microseconds = 0] = (await redis.time()).map(Number)
    return froms.some((from) => Number(from) > seconds * 1_000 + microseconds / 1_000)
  }
  await expect.poll(ahead).toBe(true)
  await expect.poll(() => said(b, (msg) => msg === IN_USE)).toBeGreaterThan(uses)
  using second = await at(b, 'TLSv1.3', first.ticket)
  expect([second.reused, second.returnCode, second.error]).toEqual([false, 0, undefined])
  const resumesElsewhere = async (): Promise<boolean> => {
    using one = await at(a)
    using other = await at(b, 'TLSv1.3', one.ticket)
    return other.reused
  }
  await expect.poll(resumesElsewhere).toBe(true)
  // Any node makes one key for all, and none too early; a slow node may leave one out.
  const begins = [a, b].flatMap((node) =>
    node.logs().flatMap(({ msg, from }) => (msg === IN_USE ? [Date.parse(String(from))] : [])),
  )
  const times = [...new Set(begins)].toSorted((one, other) => one - other)
  expect(times.length).toBeGreaterThan(1)
  for (const [index, time] of times.entries())
    expect(time - (times[index - 1] ?? 0)).toBeGreaterThanOrEqual(ROTATION_MS)
})
