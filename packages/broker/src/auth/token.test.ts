import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import type { Credentials } from './answer.ts'
import { fileKeys } from './token-keys.ts'
import { createTokenAuthenticator, type TokenOptions } from './token.ts'

let keys: JSONWebKeySet
let secret: CryptoKey
let foreign: CryptoKey

beforeAll(async () => {
  const own = await generateKeyPair('ES256', { extractable: true })
  secret = own.privateKey
  foreign = (await generateKeyPair('ES256')).privateKey
  keys = { keys: [{ ...(await exportJWK(own.publicKey)), alg: 'ES256', kid: 'k' }] }
})

async function token(
  claims: Record<string, unknown>,
  { key = secret, expires = '1h' }: { key?: CryptoKey; expires?: string | undefined } = {},
): Promise<string> {
  const made = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k' })
  return await (expires === '' ? made : made.setExpirationTime(expires)).sign(key)
}

async function ask(
  password: string | undefined,
  options: Partial<TokenOptions> = {},
  username?: string,
) {
  const authenticate = createTokenAuthenticator({
    keys: fileKeys(() => keys),
    audience: 'mqtt',
    issuer: 'maker',
    usernameClaim: 'sub',
    ...options,
  })
  const credentials: Credentials = {
    clientId: 'c',
    username,
    password: password === undefined ? undefined : Buffer.from(password),
    certificate: undefined,
    peer: 'test',
    network: undefined,
    client: { open: true, onClosed: undefined },
    deadlineMs: Infinity,
  }
  return await authenticate(credentials)
}

const GOOD = { sub: 'ann', aud: 'mqtt', iss: 'maker', site: 'north' }

test('a token gives the user name, the claims and the expiry', async () => {
  const answer = await ask(await token(GOOD))
  expect(answer).toMatchObject({ username: 'ann', claims: { site: 'north' } })
  const inMs = (answer as { expiresAt: number }).expiresAt - Date.now()
  expect(inMs).toBeGreaterThan(3_590_000)
  expect(inMs).toBeLessThanOrEqual(3_600_000)
  expect(await ask(await token(GOOD), {}, 'ann')).toMatchObject({ username: 'ann' })
  expect(await ask(await token(GOOD), { usernameClaim: 'site' })).toMatchObject({
    username: 'north',
  })
})

test.each([
  ['another audience', { ...GOOD, aud: 'http' }, {}, undefined],
  ['another issuer', { ...GOOD, iss: 'thief' }, {}, undefined],
  ['no subject', { aud: 'mqtt', iss: 'maker' }, {}, undefined],
  ['a subject that is not a string', { ...GOOD, sub: 7 }, {}, undefined],
  ['another user name', GOOD, {}, 'bob'],
  ['no expiry', GOOD, { expires: '' }, undefined],
  ['an expiry in the past', GOOD, { expires: '-10s' }, undefined],
] as const)('a token with %s is refused', async (_, claims, how, username) => {
  expect(await ask(await token(claims, how), {}, username)).toMatchObject({
    refused: 'bad-credentials',
  })
})

test('a token that is signed with another key, modified or unsigned is refused', async () => {
  const right = await token(GOOD)
  const [head = '', body = '', signature = ''] = right.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const symmetric = Buffer.from('{"alg":"HS256"}').toString('base64url')
  const other = Buffer.from(JSON.stringify({ ...GOOD, sub: 'root', exp: 9e9 })).toString(
    'base64url',
  )
  for (const text of [
    await token(GOOD, { key: foreign }),
    `${head}.${other}.${signature}`,
    `${none}.${body}.${signature}`,
    `${symmetric}.${body}.${signature}`,
  ])
    expect(await ask(text)).toMatchObject({ refused: 'bad-credentials' })
})

test.each([1e300, 8.7e12])(
  'a token with the expiry %d, which no date can represent, is refused',
  async (exp) => {
    const signed = await new SignJWT({ ...GOOD, exp })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(secret)
    expect(await ask(signed)).toEqual({
      refused: 'bad-credentials',
      detail: 'the claim exp is not a date',
    })
  },
)

test('a token that names no key is verified with each suitable key', async () => {
  const others = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES384')])
  const publics = await Promise.all(others.map(({ publicKey }) => exportJWK(publicKey)))
  const [own] = keys.keys
  const set = { keys: [...publics, { ...own, kid: 'last' }] }
  const many = { keys: fileKeys(() => set) }
  const nameless = new SignJWT(GOOD).setProtectedHeader({ alg: 'ES256' }).setExpirationTime('1h')
  expect(await ask(await nameless.sign(secret), many)).toMatchObject({ username: 'ann' })
  expect(await ask(await nameless.sign(foreign), many)).toMatchObject({
    refused: 'bad-credentials',
  })
})

test('a password that is not a token is left to other authenticators', async () => {
  const others = [
    'sesame',
    'a.b',
    'a.b.c',
    'correct.horse.battery',
    'W10.e30.c',
    'a.b.c.d',
    'a b.c.d',
  ]
  for (const password of [undefined, '', ...others]) expect(await ask(password)).toBeUndefined()
})
