/** Limits of logging in: of the HTTP hook, against a service that answers late or counts; of failed logins. */
import { createHash, pbkdf2Sync } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Limits } from '@breakwater/config'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect } from 'vitest'
import { MetricsPage } from '../metrics-page.ts'
import { startNode, type TestNode } from '../../kit/node.ts'
import { temporaryDirectory } from '../../kit/temporary-directory.ts'
import { WireClient } from '../../kit/wire-client.ts'
import type { ConnectFields } from '../../kit/wire-encoder.ts'
import { LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

const ITERATIONS = 40_000

interface Service extends AsyncDisposable {
  readonly url: string
}

async function serve(handle: RequestListener): Promise<Service> {
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function driveTimeout(): Promise<void> {
  await using service = await serve(() => undefined)
  const environment = { BREAKWATER_AUTH_HTTP_URL: service.url }
  const limits = { authHttpTimeoutMs: 300 }
  await using node = await startNode({ allowAnonymous: false, environment, limits })
  await using client = await WireClient.open(node)
  const startedAt = performance.now()
  const { returnCode } = await client.connect({ clientId: 'c', username: 'ann', password: 'x' })
  expect(returnCode).toBe(3)
  expect(performance.now() - startedAt).toBeGreaterThan(250)
  await client.untilClosed()
  expect(node.closeReasons()).toEqual(['authentication-unavailable'])
}

async function driveCache(): Promise<void> {
  let asked = 0
  await using service = await serve((_, response) => {
    asked += 1
    response.end('{"result":"allow"}')
  })
  const environment = { BREAKWATER_AUTH_HTTP_URL: service.url }
  const limits = { authHttpCacheMs: 500 }
  await using node = await startNode({ allowAnonymous: false, environment, limits })
  const connect = async (): Promise<void> => {
    await using client = await WireClient.open(node)
    const { returnCode } = await client.connect({ clientId: 'c', username: 'ann', password: 'x' })
    expect(returnCode).toBe(0)
    await client.disconnect()
  }
  await connect()
  await connect()
  expect(asked).toBe(1)
  await expect
    .poll(async () => {
      await connect()
      return asked
    })
    .toBe(2)
}

async function drivePause(): Promise<void> {
  let asked = 0
  let isWell = false
  await using service = await serve((_, response) => {
    asked += 1
    if (isWell) response.end('{"result":"allow"}')
    else response.writeHead(503).end()
  })
  const environment = { BREAKWATER_AUTH_HTTP_URL: service.url }
  const limits = { authHttpPauseMs: 1_000 }
  await using node = await startNode({ listen, allowAnonymous: false, environment, limits })
  const names = Array.from({ length: 12 }, (_, index) => ({ username: `u${index}`, password: 'x' }))
  for (const fields of names) await tryAll(node, [fields])
  const before = asked
  isWell = true
  const login = () => tryAll(node, [{ username: 'ann', password: 'x' }])
  await expect.poll(login, { timeout: 10_000 }).toEqual([0])
  // During the pause the service got no question.
  expect(asked).toBe(before + 1)
}

/** A node that knows two users, by hashes that cost nothing: what is slow here would be the machine. */
function startGuarded(
  limits: Partial<Limits>,
  environment: Readonly<Record<string, string>> = {},
): Promise<TestNode> {
  const salt = Buffer.from('salt')
  const hash = createHash('sha512').update('right').update(salt).digest('base64')
  const line = `$6$${salt.toString('base64')}$${hash}`
  const file = join(temporaryDirectory('users-'), 'passwords')
  writeFileSync(file, `ann:${line}\nbob:${line}\n`)
  return startNode({
    listen,
    limits,
    allowAnonymous: false,
    environment: { ...environment, BREAKWATER_PASSWORD_FILE: file },
  })
}

/** Return codes of tries that are made at once. */
async function tryAll(node: TestNode, tries: readonly ConnectFields[]): Promise<number[]> {
  return Promise.all(
    tries.map(async (fields, index) => {
      await using client = await WireClient.open(node, { timeoutMs: 25_000 })
      const connack = await client.connect({ clientId: `try-${index}`, ...fields })
      return connack.returnCode
    }),
  )
}

const wrong = (username: string, count: number): ConnectFields[] =>
  Array.from({ length: count }, (_, index) => ({ username, password: `wrong ${index}` }))

/** Users whose passwords take a while to check, each with a wrong one. */
function startSlow(
  limits: Partial<Limits>,
  padding = 0,
): { readonly node: Promise<TestNode>; readonly tries: readonly ConnectFields[] } {
  const salt = Buffer.from('salt')
  const hash = pbkdf2Sync('right', salt, ITERATIONS, 64, 'sha512').toString('base64')
  const names = Array.from({ length: 12 }, (_, index) => `u${index}`)
  const lines = names.map((name) => `${name}:$7$${ITERATIONS}$${salt.toString('base64')}$${hash}\n`)
  const file = join(temporaryDirectory('users-'), 'passwords')
  writeFileSync(file, lines.join(''))
  const environment = { BREAKWATER_PASSWORD_FILE: file }
  const password = `wrong ${'x'.repeat(padding)}`
  return {
    node: startNode({ listen, limits, allowAnonymous: false, environment }),
    tries: names.map((username) => ({ username, password })),
  }
}

async function driveFailedPerUser(): Promise<void> {
  const limits = {
    failedLoginsPerUserPerMinuteMax: 2,
    throttledLoginsPerSecondMax: 1,
    connectTimeoutMs: 3_000,
  }
  await using node = await startGuarded(limits)
  const [ann] = await tryAll(node, [{ username: 'ann', password: 'right' }])
  expect(ann).toBe(0)
  const codes = await tryAll(node, wrong('ann', 12))
  // The tokens are checked, then one that drew the lot; the others are not.
  expect(codes.filter((code) => code === 4).length).toBeGreaterThanOrEqual(3)
  expect(codes).toContain(3)
  expect(node.closeReasons()).toContain('login-rate')
  // Another user name is not affected, and a password that was right before needs no token.
  expect(await tryAll(node, [{ username: 'bob', password: 'right' }])).toEqual([0])
  expect(await tryAll(node, [{ username: 'ann', password: 'right' }])).toEqual([0])
}

async function driveFailedPerAddress(): Promise<void> {
  const limits = {
    failedLoginsPerAddressPerMinuteMax: 2,
    throttledLoginsPerSecondMax: 1,
    connectTimeoutMs: 3_000,
  }
  const names = Array.from({ length: 12 }, (_, index) => ({ username: `u${index}`, password: 'x' }))
  for (const known of ['real', 'unknown']) {
    const environment = { BREAKWATER_CLIENT_ADDRESS: known }
    await using node = await startGuarded(limits, environment)
    const codes = await tryAll(node, names)
    expect(codes.includes(3)).toBe(known === 'real')
    expect(codes).toContain(4)
  }
}

async function driveThrottled(): Promise<void> {
  const limits = { failedLoginsPerUserPerMinuteMax: 1, throttledLoginsPerSecondMax: 3 }
  await using node = await startGuarded(limits)
  await tryAll(node, wrong('ann', 1))
  // The right one among as many as there are lots is checked, whatever the others have done.
  const [right, ...others] = await tryAll(node, [
    { username: 'ann', password: 'right' },
    ...wrong('ann', 2),
  ])
  expect(right).toBe(0)
  expect(others).toEqual([4, 4])
}

async function driveChecks(): Promise<void> {
  const { node: starting, tries } = startSlow({ loginChecksMax: 1 })
  await using node = await starting
  // Each of them is checked, one after the other.
  expect(new Set(await tryAll(node, tries))).toEqual(new Set([4]))
  const page = await MetricsPage.of(node)
  expect(page.value('breakwater_login_wait_seconds_count', { kind: 'password' })).toBe(12)
  expect(page.value('breakwater_login_wait_seconds_sum', { kind: 'password' })).toBeGreaterThan(0)
}

async function driveFullQueue(limits: Partial<Limits>, padding: number): Promise<void> {
  const { node: starting, tries } = startSlow({ loginChecksMax: 1, ...limits }, padding)
  await using node = await starting
  expect(new Set(await tryAll(node, tries))).toEqual(new Set([3, 4]))
  expect(node.closeReasons()).toContain('logins-full')
}

async function driveRequests(): Promise<void> {
  let underWay = 0
  let most = 0
  await using service = await serve((_, response) => {
    underWay += 1
    most = Math.max(most, underWay)
    setImmediate(() => {
      underWay -= 1
      response.end('{"result":"allow"}')
    })
  })
  const environment = { BREAKWATER_AUTH_HTTP_URL: service.url }
  const limits = { authHttpRequestsMax: 1 }
  await using node = await startNode({ listen, allowAnonymous: false, environment, limits })
  const tries = Array.from({ length: 20 }, (_, index) => ({ username: `u${index}`, password: 'x' }))
  expect(new Set(await tryAll(node, tries))).toEqual(new Set([0]))
  expect(most).toBe(1)
}

/** A service that has one key, and tokens of another one. */
async function startWithKeys(limits: Partial<Limits>) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'known' }]
  const answers = { isWell: true, given: 0 }
  const service = await serve((_, response) => {
    answers.given += 1
    if (answers.isWell) response.end(JSON.stringify({ keys }))
    else response.writeHead(503).end()
  })
  const environment = { BREAKWATER_JWT_KEYS: service.url }
  const node = await startNode({ listen, allowAnonymous: false, environment, limits })
  const login = async (kid: string): Promise<number | undefined> => {
    const token = new SignJWT().setProtectedHeader({ alg: 'ES256', kid }).setSubject('ann')
    const password = await token.setExpirationTime('1h').sign(privateKey)
    const [code] = await tryAll(node, [{ username: 'ann', password }])
    return code
  }
  return { service, node, answers, login }
}

async function driveKeyFetches(): Promise<void> {
  // One at the start, three at once, and then one a minute: too late for this one.
  const { service, node, answers, login } = await startWithKeys({ jwtKeysFetchesPerMinuteMax: 4 })
  await using _service = service
  await using _node = node
  const codes: (number | undefined)[] = []
  for (let index = 0; index < 5; index += 1) codes.push(await login(`unknown-${index}`))
  expect(codes).toEqual([4, 4, 4, 4, 3])
  expect(answers.given).toBe(5)
  expect(await login('known')).toBe(0)
  expect(node.closeReasons()).toContain('authentication-unavailable')
}

async function driveKeysAge(): Promise<void> {
  const { service, node, answers, login } = await startWithKeys({ jwtKeysAgeMaxMs: 1_000 })
  await using _service = service
  await using _node = node
  expect(await login('known')).toBe(0)
  answers.isWell = false
  await expect.poll(() => login('known'), { timeout: 10_000 }).toBe(3)
}

export const loginLimits = {
  failedLoginsPerUserPerMinuteMax: driveFailedPerUser,
  failedLoginsPerAddressPerMinuteMax: driveFailedPerAddress,
  throttledLoginsPerSecondMax: driveThrottled,
  loginChecksMax: driveChecks,
  loginsWaitingMax: () => driveFullQueue({ loginsWaitingMax: 1 }, 0),
  loginsWaitingBytesMax: () => driveFullQueue({ loginsWaitingBytesMax: 16_384 }, 10_000),
  authHttpRequestsMax: driveRequests,
  jwtKeysFetchesPerMinuteMax: driveKeyFetches,
  jwtKeysAgeMaxMs: driveKeysAge,
  authHttpTimeoutMs: driveTimeout,
  authHttpPauseMs: drivePause,
  authHttpCacheMs: driveCache,
} as const satisfies Readonly<Record<string, LimitDriver>>
