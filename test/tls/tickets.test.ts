/** TLS sessions that are resumed: at the node where they began, and at others that have the same key. */
import { randomBytes } from 'node:crypto'
import type { SecureVersion } from 'node:tls'
import { Authority } from '@breakwater/broker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCluster, type Cluster } from '../cluster/cluster.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet, type Peer } from './tls-peer.ts'

const versions = ['TLSv1.2', 'TLSv1.3'] as const
const authority = await Authority.create('devices')
const device = await authority.issue({ commonName: 'buoy-7', usage: 'client' })

async function at(
  node: TestNode,
  version: SecureVersion,
  session?: Buffer,
  clientId = 'buoy-7',
): Promise<Peer> {
  const tls = { port: node.tlsPort, ca: node.ca, minVersion: version, maxVersion: version }
  return meet({ ...tls, ...device, ...(session === undefined ? {} : { session }) }, { clientId })
}

function environmentOf(secret: MountedSecret): Record<string, string> {
  return {
    BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
    BREAKWATER_TLS_CLIENT_AUTH: 'required',
    BREAKWATER_TLS_IDENTITY: 'cn',
    BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0',
    BREAKWATER_CLIENT_ID: '${username}',
  }
}

describe.each(versions)('with one ticket key at all nodes, over %s,', (version) => {
  const ca = { 'ca.crt': authority.pair.cert }
  const secret = new MountedSecret({ ...ca, 'ticket.key': randomBytes(48) })
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({
      environment: {
        ...environmentOf(secret),
        BREAKWATER_TLS_TICKET_KEY: secret.path('ticket.key'),
      },
    })
  })
  afterAll(() => cluster[Symbol.asyncDispose]())

  it('a device resumes its TLS session at another node under the same name, and at a third node with the new ticket', async () => {
    const before = await MetricsPage.of(cluster.b)
    using first = await at(cluster.a, version)
    expect([first.reused, first.returnCode]).toEqual([false, 0])
    using second = await at(cluster.b, version, first.ticket)
    expect([second.reused, second.returnCode]).toEqual([true, 0])
    using third = await at(cluster.c, version, second.ticket ?? first.ticket)
    expect([third.reused, third.returnCode]).toEqual([true, 0])
    using other = await at(cluster.b, version, first.ticket, 'buoy-8')
    expect([other.reused, other.returnCode]).toEqual([true, 2])
    const after = await MetricsPage.of(cluster.b)
    const grown = (kind: string): number =>
      after.value('breakwater_tls_sessions_total', { kind }) -
      before.value('breakwater_tls_sessions_total', { kind })
    expect([grown('full'), grown('resumed')]).toEqual([0, 2])
  })

  it('a new ticket key, as bytes or as base64, turns resumptions with old tickets into full handshakes without an error', async () => {
    using first = await at(cluster.a, version)
    const next = randomBytes(48)
    secret.update({ ...ca, 'ticket.key': `${next.toString('base64')}\n` })
    const nodes = [cluster.a, cluster.b, cluster.c]
    for (const node of nodes) await node.logged(({ msg }) => msg === 'new certificates are in use')
    using again = await at(cluster.b, version, first.ticket)
    expect([again.reused, again.returnCode]).toEqual([false, 0])
    using resumed = await at(cluster.c, version, again.ticket)
    expect([resumed.reused, resumed.returnCode]).toEqual([true, 0])
    // A key that is none is not used, and the tickets stay good.
    secret.update({ ...ca, 'ticket.key': 'short' })
    const line = await cluster.a.logged(({ why }) => why !== undefined)
    expect(line['why']).toMatch(/^BREAKWATER_TLS_TICKET_KEY: .* is not 48 random bytes; make it/)
    using still = await at(cluster.a, version, again.ticket)
    expect([still.reused, still.returnCode]).toEqual([true, 0])
  })

  it('a modified ticket leads to a full handshake', async () => {
    using first = await at(cluster.a, version)
    const ticket = Buffer.from(first.ticket as Buffer)
    // Far inside of what the node encrypted; the client itself reads only what is around it.
    const inside = Math.floor(ticket.length * 0.8)
    ticket[inside] = (ticket[inside] as number) ^ 1
    using again = await at(cluster.a, version, ticket)
    expect(again.reused).toBe(false)
  })
})

describe.each(versions)('without a ticket key, over %s,', (version) => {
  it('a TLS session is resumed only at the node where it began', async () => {
    const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
    await using a = await startNode({ environment: environmentOf(secret) })
    await using b = await startNode({ environment: environmentOf(secret) })
    using first = await at(a, version)
    using same = await at(a, version, first.ticket)
    using other = await at(b, version, first.ticket)
    expect([same.reused, same.returnCode]).toEqual([true, 0])
    expect([other.reused, other.returnCode]).toEqual([false, 0])
  })
})
