/** Clients that log in with a token: by a key file, with access rules about claims, until the token expires. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { startNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'

/** A node's key, in a file, and tokens that it signs. */
async function authority() {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true })
  const directory = temporaryDirectory('jwt-')
  const keys = join(directory, 'keys.json')
  writeFileSync(keys, JSON.stringify({ keys: [await exportJWK(publicKey)] }))
  const sign = (seconds: number, claims: Record<string, unknown>, subject = 'ann') =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA' })
      .setSubject(subject)
      .setAudience('mqtt')
      .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
      .sign(privateKey)
  const environment = { BREAKWATER_JWT_KEYS: keys, BREAKWATER_JWT_AUDIENCE: 'mqtt' }
  return { directory, environment, sign }
}

test('a token gives the client its user name and claims, and its expiry closes the connection', async () => {
  const { directory, environment, sign } = await authority()
  const rules = join(directory, 'acl.yaml')
  writeFileSync(
    rules,
    "rules: [{ claims: { role: meter }, allow: [publish, subscribe], topics: ['${jwt.site}/#'] }]",
  )
  const ruled = { ...environment, BREAKWATER_ACL_FILE: rules }
  await using node = await startNode({ allowAnonymous: false, environment: ruled })
  const login = async (seconds: number, claims: Record<string, unknown>) => ({
    username: 'ann',
    password: await sign(seconds, claims),
  })
  const claims = { role: 'meter', site: 'north' }
  await using client = await connectAt(node, { clientId: 'c', ...(await login(60, claims)) })
  expect(await client.subscribe(['north/#', 1])).toEqual([1])
  expect(await client.subscribe(['south/#', 1])).toEqual([0x80])
  await using brief = await connectAt(node, { clientId: 'd', ...(await login(2, claims)) })
  await brief.untilClosed()
  expect(node.closeReasons()).toEqual(['login-expired'])
  // Also within the five seconds that clocks may differ.
  for (const seconds of [-60, -1]) {
    await using late = await WireClient.open(node)
    const { returnCode } = await late.connect({ clientId: 'e', ...(await login(seconds, claims)) })
    expect(returnCode).toBe(4)
  }
  expect(node.closeReasons()).toEqual(['login-expired', 'bad-credentials', 'login-expired'])
})

test('a token with a user name of more than 256 bytes is refused', async () => {
  const { environment, sign } = await authority()
  await using node = await startNode({ allowAnonymous: false, environment })
  const [longest, longer] = ['é'.repeat(128), `${'é'.repeat(128)}x`]
  await using client = await connectAt(node, {
    clientId: 'c',
    username: longest,
    password: await sign(60, {}, longest),
  })
  await client.expectSilence()
  await using other = await WireClient.open(node)
  // Nothing in CONNECT itself is too long.
  const login = { clientId: 'd', username: '', password: await sign(60, {}, longer) }
  expect(await other.connect(login)).toMatchObject({ returnCode: 4 })
  expect(node.closeReasons()).toEqual(['bad-credentials'])
  expect(node.logs().at(-1)?.['detail']).toBe('a user name of 257 bytes; usernameBytesMax is 256')
})

test('[MQTT-1.5.3-1] [MQTT-1.5.3-2] a token with a user name that MQTT text cannot hold is refused', async () => {
  const { environment, sign } = await authority()
  await using node = await startNode({ allowAnonymous: false, environment })
  const names = ['x\ud800', 'x\udfff', 'x\0y']
  for (const name of names) {
    await using client = await WireClient.open(node)
    const login = { clientId: 'd', username: '', password: await sign(60, {}, name) }
    expect(await client.connect(login)).toMatchObject({ returnCode: 4 })
  }
  expect(node.closeReasons()).toEqual(names.map(() => 'bad-credentials'))
})

test('a password with two dots is checked as a password, also on a listener that accepts tokens', async () => {
  const { environment } = await authority()
  const password = 'correct.horse.battery'
  await using node = await startNode({ users: { ann: password }, environment })
  await using client = await connectAt(node, { clientId: 'c', username: 'ann', password })
  await client.expectSilence()
})
