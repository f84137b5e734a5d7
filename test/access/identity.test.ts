/** An identity counts only if something proved it: user names that nothing checks, and client ids bound to users. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Authority, setPassword } from '@breakwater/broker'
import { expect, test } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient, type WireAddress } from '../kit/wire-client.ts'
import type { ConnectFields } from '../kit/wire-encoder.ts'
import { MountedSecret } from '../tls/mounted-secret.ts'
import { startRuled } from './ruled.ts'

const OPS_RULES = `
rules:
  - { users: ['*'], allow: [publish, subscribe], topics: ['#'] }
  - { anonymous: true, allow: [publish, subscribe], topics: ['open/#'] }
`
const OPS = { username: 'ops', password: 'nonsense' }

/** The return code of a CONNECT. */
async function codeOf(
  address: WireAddress,
  fields: ConnectFields = {},
  clientId: string = unique('c'),
): Promise<number> {
  await using client = await WireClient.open(address)
  return (await client.connect({ clientId, ...fields })).returnCode
}

/** The address of a listener for a client without a certificate. */
function at(node: TestNode, place: number): WireAddress {
  const tls = { ca: node.ca, servername: 'localhost' }
  return { host: node.host, port: node.ports[place] as number, tls }
}

test('a user name that the certificate does not prove is refused on listeners that identify by certificate', async () => {
  const authority = await Authority.create('devices')
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  const names = `client-auth=optional&identity=cn&client-ca=${secret.path('ca.crt')}`
  await using ruled = await startRuled(OPS_RULES, {
    listen: [
      `mqtts://127.0.0.1:0?${names}&anonymous=false`,
      'mqtts://127.0.0.1:0?client-auth=none&anonymous=true',
    ],
  })
  const { node } = ruled
  const device = await authority.issue({ commonName: 'ops', usage: 'client' })
  const proved = at(node, 0)
  const tls = { ...proved.tls, ...device }
  await using owner = await WireClient.open({ ...proved, tls })
  expect(await owner.connect({ clientId: 'd', clean: false })).toMatchObject({ returnCode: 0 })
  await owner.subscribe(['secret', 1])
  await owner.disconnect()
  for (const place of [0, 1])
    for (const fields of [OPS, { username: 'ops' }, { username: '', password: 'x' }]) {
      expect(await codeOf(at(node, place), { ...fields, clean: false }, 'd')).toBe(4)
    }
  // A client without credentials is anonymous: it has neither the rights of a user nor access to its session.
  expect(await codeOf(at(node, 0))).toBe(5)
  expect(await codeOf(at(node, 1), { clean: false }, 'd')).toBe(2)
  await using nobody = await WireClient.open(at(node, 1))
  await nobody.connect({ clientId: unique('c') })
  expect(await nobody.subscribe(['secret', 1])).toEqual([0x80])
  expect(await nobody.subscribe(['open/x', 1])).toEqual([1])
})

test('[MQTT-3.1.3-11] a listener that allows anonymous clients refuses credentials that no authenticator can check', async () => {
  await using ruled = await startRuled(OPS_RULES)
  for (const fields of [OPS, { username: 'ops' }, { username: '', password: 'x' }])
    expect(await codeOf(ruled.node, fields), JSON.stringify(fields)).toBe(4)
  for (const fields of [{}, { username: '' }, { username: '', password: '' }])
    expect(await codeOf(ruled.node, fields), JSON.stringify(fields)).toBe(0)
  expect(ruled.node.closeReasons().filter((reason) => reason === 'bad-credentials')).toHaveLength(3)
})

test('[MQTT-3.1.3-11] an empty user name counts as no user name in rules, sessions and revocations', async () => {
  await using ruled = await startRuled(OPS_RULES)
  await using first = await connectAt(ruled.node, { clientId: 'd', clean: false, username: '' })
  expect(await first.subscribe(['secret', 1])).toEqual([0x80])
  expect(await first.subscribe(['open/x', 1])).toEqual([1])
  await first.disconnect()
  await using client = await WireClient.open(ruled.node)
  const connack = await client.connect({ clientId: 'd', clean: false })
  expect(connack).toMatchObject({ returnCode: 0, sessionPresent: true })
})

test('[MQTT-3.1.3-11] an empty user name does not contradict the name in a certificate', async () => {
  const authority = await Authority.create('devices')
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  const names = `client-auth=required&identity=cn&client-ca=${secret.path('ca.crt')}`
  await using node = await startNode({ listen: [`mqtts://127.0.0.1:0?${names}`] })
  const device = await authority.issue({ commonName: 'buoy', usage: 'client' })
  const address = { ...at(node, 0), tls: { ...at(node, 0).tls, ...device } }
  expect(await codeOf(address, { username: '', password: '' })).toBe(0)
  expect(await codeOf(address, { username: 'buoy' })).toBe(0)
  expect(await codeOf(address, { username: 'other' })).toBe(5)
})

test('anonymous clients are accepted only at the listener that allows them', async () => {
  await using node = await startNode({
    users: { ann: 'sesame' },
    allowAnonymous: false,
    listen: ['mqtt://127.0.0.1:0', 'mqtt://127.0.0.1:0?anonymous=true'],
  })
  const [closed, open] = node.ports.map((port) => ({ host: node.host, port }))
  const ann = { username: 'ann', password: 'sesame' }
  for (const address of [closed, open] as WireAddress[]) {
    expect(await codeOf(address, ann)).toBe(0)
    expect(await codeOf(address, { ...ann, password: 'wrong' })).toBe(4)
  }
  expect(await codeOf(closed as WireAddress)).toBe(5)
  expect(await codeOf(open as WireAddress)).toBe(0)
  const line = await node.logged(({ msg }) => msg === 'clients without credentials are allowed')
  expect(line['listeners']).toEqual(['mqtt-2'])
})

const USERS = { ann: 'sesame', 'ann-2': 'sesame', '*': 'sesame' }
const as = (username: keyof typeof USERS): ConnectFields => ({
  username,
  password: USERS[username],
})

test('[MQTT-3.1.3-9] a client id that does not belong to the user is refused, even with the right password', async () => {
  await using node = await startNode({
    users: USERS,
    environment: { BREAKWATER_CLIENT_ID: '${username}' },
    listen: [
      'mqtt://127.0.0.1:0',
      'mqtt://127.0.0.1:0?client-id=${username}-*',
      'mqtt://127.0.0.1:0?client-id=any',
      'mqtt://127.0.0.1:0?client-id=guest-*&anonymous=true',
    ],
  })
  const [equal, prefix, any, guests] = node.ports.map((port) => ({ host: node.host, port }))
  const cases: readonly [WireAddress | undefined, ConnectFields, string, number][] = [
    [equal, as('ann'), 'ann', 0],
    [equal, as('ann'), 'ann-2', 2],
    [equal, as('*'), 'ann', 2],
    [equal, as('*'), '*', 0],
    // The server assigns a client id, which belongs to no user.
    [equal, as('ann'), '', 2],
    [prefix, as('ann'), 'ann-1', 0],
    [prefix, as('ann'), 'ann', 2],
    [prefix, as('ann'), 'ann-2-1', 2],
    [prefix, as('ann-2'), 'ann-2-1', 0],
    [prefix, as('*'), 'x-1', 2],
    [any, as('ann'), 'whatever', 0],
    [guests, {}, 'guest-1', 0],
    [guests, {}, 'ann', 2],
  ]
  for (const [address, fields, clientId, code] of cases)
    expect(await codeOf(address as WireAddress, fields, clientId), clientId).toBe(code)
  // Wrong credentials are reported first, so that they do not reveal which client id would have matched.
  expect(await codeOf(equal as WireAddress, { ...as('ann'), password: 'x' }, 'ann-2')).toBe(4)
})

test('one log line at the start names the rules about client ids that no setting binds to users', async () => {
  const rules = "rules: [{ allow: [publish, subscribe], topics: ['devices/${clientid}/#'] }]"
  const said =
    'access rules use client ids, but any client may take any client id at these listeners: set BREAKWATER_CLIENT_ID'
  const listen = ['mqtt://127.0.0.1:0', 'mqtt://127.0.0.1:0?client-id=${username}']
  await using open = await startRuled(rules, { users: USERS, listen })
  const lines = open.node.logs().filter(({ msg }) => msg === said)
  expect(lines).toMatchObject([{ level: 'warn', listeners: ['mqtt'] }])
  const environment = { BREAKWATER_CLIENT_ID: '${username}' }
  await using bound = await startRuled(rules, { users: USERS, environment })
  expect(bound.node.logs().filter(({ msg }) => msg === said)).toEqual([])
  // Rules that come later are looked at as well.
  await using later = await startRuled("rules: [{ allow: [publish], topics: ['#'] }]")
  expect(later.node.logs().filter(({ msg }) => msg === said)).toEqual([])
  await later.change("rules: [{ clients: [meter-*], allow: [publish], topics: ['#'] }]")
  await later.node.logged(({ msg }) => msg === said)
})

test('the first user of a password file that begins with a byte order mark logs in', async () => {
  const path = join(temporaryDirectory('users-'), 'passwords')
  writeFileSync(path, `\ufeff${await setPassword('', 'ann', 'sesame')}`)
  const environment = { BREAKWATER_PASSWORD_FILE: path }
  await using node = await startNode({ allowAnonymous: false, environment })
  expect(await codeOf(node, { username: 'ann', password: 'sesame' })).toBe(0)
  // The mark is a character of MQTT [MQTT-1.5.3-3], so this is another user.
  expect(await codeOf(node, { username: '\ufeffann', password: 'sesame' })).toBe(4)
})
