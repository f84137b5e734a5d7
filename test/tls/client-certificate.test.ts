/** Client certificates: which clients are accepted, under which name, and which are refused, also with a ticket. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { SecureVersion } from 'node:tls'
import { Authority, type CertificatePair, type LeafOptions } from '@breakwater/broker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import type { ConnectFields } from '../kit/wire-encoder.ts'
import { MountedSecret } from './mounted-secret.ts'
import { meet, type Peer } from './tls-peer.ts'

const versions = ['TLSv1.2', 'TLSv1.3'] as const
const users = { keeper: 'of: the light' }
const NAME = 'spiffe://fleet/device/buoy-7'
const ENFORCE = 'identity=uri:spiffe://fleet/device/([^/]%2B)&client-id=${username}'

const authority = await Authority.create('devices')
const stranger = await Authority.create('somebody else')
const ticketKey = randomBytes(48)

function device(options: Partial<LeafOptions> = {}, by = authority): Promise<CertificatePair> {
  return by.issue({ commonName: 'buoy', usage: 'client', alternativeNames: [NAME], ...options })
}

interface Fleet {
  readonly node: TestNode
  readonly secret: MountedSecret
  /** With the certificate of the device, or without one. */
  meet(
    listener: number,
    pair?: CertificatePair,
    options?: { session?: Buffer | undefined; version?: SecureVersion; mqtt?: ConnectFields },
  ): Promise<Peer>
}

const REQUIRED = 0
const OPTIONAL = 1
const NAMED = 2
const NONE = 3

async function startFleet(files: Record<string, string>): Promise<Fleet> {
  const secret = new MountedSecret({ ...files, 'ticket.key': ticketKey })
  const node = await startNode({
    users,
    listen: [
      'mqtts://127.0.0.1:0?client-auth=required&identity=cn',
      'mqtts://127.0.0.1:0?client-auth=optional&identity=cn',
      `mqtts://127.0.0.1:0?client-auth=required&${ENFORCE}`,
      'mqtts://127.0.0.1:0',
    ],
    environment: {
      BREAKWATER_TLS_CLIENT_CA: secret.path('ca.crt'),
      ...(files['crl.pem'] === undefined ? {} : { BREAKWATER_TLS_CRL: secret.path('crl.pem') }),
      BREAKWATER_TLS_TICKET_KEY: secret.path('ticket.key'),
    },
  })
  return {
    node,
    secret,
    meet: (listener, pair, { session, version, mqtt = { clientId: unique('c') } } = {}) =>
      meet(
        {
          port: node.ports[listener],
          ca: node.ca,
          ...pair,
          ...(session === undefined ? {} : { session }),
          ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
        },
        mqtt,
      ),
  }
}

/** The reason and detail with which a connection ended. */
async function endOf({ node }: Fleet, peer: Peer): Promise<string> {
  const line = await node.logged(
    (one) => one['msg'] === 'connection closed' && one['peer'] === peer.address,
  )
  return `${String(line['reason'])} ${String(line['detail'])}`
}

/** How a connection ended that got no CONNACK, or one that says no where only the node has found a fault. */
async function refused(fleet: Fleet, meeting: Promise<Peer>, returnCode?: 5): Promise<string> {
  using peer = await meeting
  expect(peer.returnCode).toBe(returnCode)
  return endOf(fleet, peer)
}

describe.each(versions)('client certificates over %s', (version) => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await startFleet({ 'ca.crt': authority.pair.cert })
  })
  afterAll(() => fleet.node[Symbol.asyncDispose]())

  it('a listener that requires a certificate accepts a valid one and refuses a client without one', async () => {
    using peer = await fleet.meet(REQUIRED, await device(), { version })
    expect(peer.returnCode).toBe(0)
    expect(await refused(fleet, fleet.meet(REQUIRED, undefined, { version }))).toBe(
      'certificate-refused ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
    )
  })

  it.each([
    ['of another authority', () => device({}, stranger), /UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)/],
    [
      'that has expired',
      () => device({ notBefore: new Date(0), notAfter: new Date(Date.now() - 60_000) }),
      /CERT_HAS_EXPIRED/,
    ],
    [
      'that is not valid yet',
      () => device({ notBefore: new Date(Date.now() + 3_600_000) }),
      /CERT_NOT_YET_VALID/,
    ],
    ['of a server', () => device({ usage: 'server' }), /INVALID_PURPOSE/],
  ])(
    'a certificate %s is refused by listeners that require a certificate and by listeners where it is optional',
    async (_, make, why) => {
      const pair = await make()
      for (const listener of [REQUIRED, OPTIONAL]) {
        const end = await refused(fleet, fleet.meet(listener, pair, { version }))
        expect(end).toMatch(/^certificate-refused /)
        expect(end).toMatch(why)
      }
    },
  )

  it('a client with an invalid certificate gets no session ticket', async () => {
    using first = await fleet.meet(OPTIONAL, await device({}, stranger), { version })
    expect([first.returnCode, first.ticket]).toEqual([undefined, undefined])
  })

  it('the password decides for a client without a certificate when the certificate is optional', async () => {
    const connect = (password: string): ConnectFields => ({
      clientId: unique('c'),
      username: 'keeper',
      password,
    })
    using right = await fleet.meet(OPTIONAL, undefined, { version, mqtt: connect(users.keeper) })
    using wrong = await fleet.meet(OPTIONAL, undefined, { version, mqtt: connect('wrong') })
    using none = await fleet.meet(OPTIONAL, undefined, { version })
    expect([right.returnCode, wrong.returnCode, none.returnCode]).toEqual([0, 4, 5])
  })

  it('a resumed TLS session has the certificate name of its full handshake, and no other', async () => {
    const pair = await device()
    using full = await fleet.meet(NAMED, pair, { version, mqtt: { clientId: 'buoy-7' } })
    expect([full.reused, full.returnCode]).toEqual([false, 0])
    const session = full.ticket
    using same = await fleet.meet(NAMED, pair, { version, session, mqtt: { clientId: 'buoy-7' } })
    expect([same.reused, same.returnCode]).toEqual([true, 0])
    using other = await fleet.meet(NAMED, pair, { version, session, mqtt: { clientId: 'buoy-8' } })
    expect([other.reused, other.returnCode]).toEqual([true, 2])
    expect(await endOf(fleet, other)).toBe('client-id-rejected it does not fit ${username}')
  })

  it('a ticket from a connection without a certificate is not accepted by a listener that requires one', async () => {
    for (const from of [NONE, OPTIONAL]) {
      const mqtt = { clientId: unique('c'), username: 'keeper', password: users.keeper }
      using first = await fleet.meet(from, undefined, { version, mqtt })
      expect(first.returnCode).toBe(0)
      using again = await fleet.meet(from, undefined, { version, mqtt, session: first.ticket })
      expect([again.reused, again.returnCode]).toEqual([true, 0])
      const end = await refused(
        fleet,
        fleet.meet(REQUIRED, undefined, { version, session: first.ticket }),
      )
      expect(end).toMatch(/^certificate-refused /)
    }
  })

  it('a ticket of one listener leads to a full handshake at a listener with stricter requirements', async () => {
    using first = await fleet.meet(OPTIONAL, await device(), { version })
    expect(first.returnCode).toBe(0)
    using second = await fleet.meet(REQUIRED, await device(), { version, session: first.ticket })
    expect([second.reused, second.returnCode]).toEqual([false, 0])
  })

  it('an expired certificate is refused also with a ticket from before its expiry', async () => {
    const notAfter = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 2_000)
    const pair = await device({ notAfter })
    using first = await fleet.meet(REQUIRED, pair, { version })
    expect(first.returnCode).toBe(0)
    await delay(notAfter.getTime() - Date.now() + 50)
    using again = await fleet.meet(REQUIRED, pair, { version, session: first.ticket })
    expect([again.reused, again.returnCode]).toEqual([true, 5])
    expect(await endOf(fleet, again)).toBe('certificate-refused CERT_HAS_EXPIRED')
  })
})

describe.each(versions)('changes of client certificates over %s', (version) => {
  it('a revoked certificate is refused in a full handshake and with a ticket from before the revocation', async () => {
    const [good, bad] = [await device(), await device()]
    const files = async (
      revoked: readonly string[],
      ageMs: number,
    ): Promise<Record<string, string>> => ({
      'ca.crt': authority.pair.cert,
      'crl.pem': await authority.revoke({
        certificates: revoked,
        thisUpdate: new Date(Date.now() - ageMs),
      }),
    })
    const fleet = await startFleet(await files([], 7_200_000))
    await using _node = fleet.node
    using before = await fleet.meet(REQUIRED, bad, { version })
    using beforeGood = await fleet.meet(REQUIRED, good, { version })
    expect([before.returnCode, beforeGood.returnCode]).toEqual([0, 0])
    fleet.secret.update({ ...(await files([bad.cert], 3_600_000)), 'ticket.key': ticketKey })
    await reloaded(fleet, 3)
    using again = await fleet.meet(REQUIRED, bad, { version, session: before.ticket })
    expect([again.reused, again.returnCode]).toEqual([true, 5])
    expect(await endOf(fleet, again)).toBe('certificate-refused CERT_REVOKED')
    const full = await refused(fleet, fleet.meet(OPTIONAL, bad, { version }), 5)
    expect(full).toMatch(/ CERT_REVOKED$/)
    using fine = await fleet.meet(REQUIRED, good, { version, session: beforeGood.ticket })
    expect([fine.reused, fine.returnCode]).toEqual([true, 0])
    // An older list would take the revocation back.
    fleet.secret.update({ ...(await files([], 5_000_000)), 'ticket.key': ticketKey })
    const line = await fleet.node.logged(({ why }) => why !== undefined)
    expect(line['why']).toMatch(/^BREAKWATER_TLS_CRL: .* is older than the list in use/)
    const still = await refused(fleet, fleet.meet(REQUIRED, bad, { version }), 5)
    expect(still).toMatch(/ CERT_REVOKED$/)
  })

  it('a certificate whose authority was removed is refused also with a ticket from before', async () => {
    const pair = await device()
    const fleet = await startFleet({ 'ca.crt': authority.pair.cert + stranger.pair.cert })
    await using _node = fleet.node
    using before = await fleet.meet(REQUIRED, pair, { version })
    expect(before.returnCode).toBe(0)
    fleet.secret.update({ 'ca.crt': stranger.pair.cert, 'ticket.key': ticketKey })
    await reloaded(fleet, 3)
    const again = fleet.meet(REQUIRED, pair, { version, session: before.ticket })
    expect(await refused(fleet, again)).toMatch(/^certificate-refused UNABLE/)
    using other = await fleet.meet(REQUIRED, await device({}, stranger), { version })
    expect(other.returnCode).toBe(0)
  })
})

/** Each listener has the new files; those of the last one have no client certificates, so only a key. */
async function reloaded({ node }: Fleet, listeners: number): Promise<void> {
  const count = (): number =>
    node.logs().filter(({ msg }) => msg === 'new certificates are in use').length
  await expect.poll(count).toBe(listeners)
}

describe('the name in a certificate', () => {
  it('is the user name: a CONNECT with another user name is refused', async () => {
    const fleet = await startFleet({ 'ca.crt': authority.pair.cert })
    await using _node = fleet.node
    const pair = await device({ commonName: 'keeper' })
    const meetAs = async (fields: ConnectFields): Promise<number | undefined> => {
      using peer = await fleet.meet(REQUIRED, pair, { mqtt: { clientId: unique('c'), ...fields } })
      return peer.returnCode
    }
    expect(await meetAs({})).toBe(0)
    expect(await meetAs({ username: 'keeper', password: 'is not asked for' })).toBe(0)
    expect(await meetAs({ username: 'somebody', password: users.keeper })).toBe(5)
  })

  it('owns its sessions: a client with another certificate cannot take them over', async () => {
    const fleet = await startFleet({ 'ca.crt': authority.pair.cert })
    await using _node = fleet.node
    const mqtt = { clientId: unique('c'), clean: false }
    using owner = await fleet.meet(REQUIRED, await device({ commonName: 'owner' }), { mqtt })
    using thief = await fleet.meet(REQUIRED, await device({ commonName: 'thief' }), { mqtt })
    expect([owner.returnCode, thief.returnCode]).toEqual([0, 2])
  })

  it.each([
    ['no name', []],
    ['a name of another form', ['spiffe://fleet/ship/7']],
    ['two names that match', ['spiffe://fleet/device/a', 'spiffe://fleet/device/b']],
    ['a name of which only the beginning matches', ['spiffe://fleet/device/a/b']],
  ])('is missing if the certificate has %s: CONNACK 0x05', async (_title, alternativeNames) => {
    const fleet = await startFleet({ 'ca.crt': authority.pair.cert })
    await using _node = fleet.node
    using peer = await fleet.meet(NAMED, await device({ alternativeNames }))
    expect(peer.returnCode).toBe(5)
    expect(await endOf(fleet, peer)).toMatch(/its certificate holds no name by the rule/)
  })

  it('counts only below an authority of the bundle, not below one that the client sends along', async () => {
    const root = await Authority.create('root', 100, 1)
    const region = await root.subordinate('region')
    const leaf = await device({}, region)
    const sent = { cert: leaf.cert + region.pair.cert, key: leaf.key }
    const fleet = await startFleet({ 'ca.crt': root.pair.cert })
    await using _node = fleet.node
    const end = await refused(fleet, fleet.meet(REQUIRED, sent), 5)
    expect(end).toBe('certificate-refused UNABLE_TO_GET_ISSUER_CERT')
    fleet.secret.update({ 'ca.crt': root.pair.cert + region.pair.cert, 'ticket.key': ticketKey })
    await reloaded(fleet, 3)
    using full = await fleet.meet(REQUIRED, leaf)
    using resumed = await fleet.meet(REQUIRED, leaf, { session: full.ticket })
    expect([full.returnCode, resumed.reused, resumed.returnCode]).toEqual([0, true, 0])
  })
})
