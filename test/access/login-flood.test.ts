/** A valid login succeeds beside clients that try user names and passwords without end. */
import { pbkdf2Sync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Limits } from '@breakwater/config'
import { expect, onTestFinished, test } from 'vitest'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodeConnect } from '../kit/wire-encoder.ts'
import { startHttpService } from './http-service.ts'

/** About as slow as a check is where it matters, without a hash of its own for each user. */
const ITERATIONS = 40_000
const PASSWORD = 'right'

function startWith(users: readonly string[], limits: Partial<Limits> = {}): Promise<TestNode> {
  const salt = Buffer.from('salt')
  const hash = pbkdf2Sync(PASSWORD, salt, ITERATIONS, 64, 'sha512').toString('base64')
  const line = `$7$${ITERATIONS}$${salt.toString('base64')}$${hash}`
  const file = join(temporaryDirectory('users-'), 'passwords')
  writeFileSync(file, users.map((user) => `${user}:${line}\n`).join(''))
  return startNode({
    listen: ['mqtt://127.0.0.1:0'],
    limits,
    allowAnonymous: false,
    environment: { BREAKWATER_PASSWORD_FILE: file },
  })
}

async function login(node: TestNode, username: string, password: string): Promise<number> {
  await using client = await WireClient.open(node, { timeoutMs: 30_000 })
  return (await client.connect({ clientId: `c-${username}`, username, password })).returnCode
}

/** This number of connections, each of which tries the next name when it is refused, until the test ends. */
function flood(node: TestNode, connections: number, nameOf: (tries: number) => string): void {
  let tries = 0
  let isOver = false
  const attack = async (place: number): Promise<void> => {
    while (!isOver) {
      tries += 1
      await using client = await WireClient.open(node, { timeoutMs: 60_000 })
      const fields = { clientId: `flood-${place}`, username: nameOf(tries), password: `p${tries}` }
      client.send(encodeConnect(fields))
      await client.untilClosed().catch(() => undefined)
    }
  }
  const all = Array.from({ length: connections }, (_, place) =>
    attack(place).catch(() => undefined),
  )
  onTestFinished(async () => {
    isOver = true
    await node[Symbol.asyncDispose]()
    await Promise.all(all)
  })
}

const series = async (
  node: TestNode,
  name: string,
  labels: Readonly<Record<string, string>> = { kind: 'password' },
): Promise<number> => (await MetricsPage.of(node)).value(`breakwater_${name}`, labels)

test('120 connections that try a new user name each time keep no other user from logging in', async () => {
  const users = Array.from({ length: 11 }, (_, index) => `device-${index}`)
  const node = await startWith(users)
  flood(node, 120, (tries) => `stranger-${tries}`)
  for (const user of users) expect(await login(node, user, PASSWORD), user).toBe(0)
})

test('60 connections that try one user name keep no other user from logging in', async () => {
  const users = Array.from({ length: 5 }, (_, index) => `device-${index}`)
  const node = await startWith([...users, 'victim'], { failedLoginsPerUserPerMinuteMax: 0 })
  flood(node, 60, () => 'victim')
  for (const user of users) expect(await login(node, user, PASSWORD), user).toBe(0)
})

test('300 devices that share one user name log in at a node that has never seen that name', async () => {
  await using node = await startWith(['fleet'])
  const devices = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const client = await WireClient.open(node, { timeoutMs: 30_000 })
      client.send(encodeConnect({ clientId: `d-${index}`, username: 'fleet', password: PASSWORD }))
      return client
    }),
  )
  for (const device of devices) expect((await device.expect('connack')).returnCode).toBe(0)
  // One that comes when the first check has ended is recalled.
  expect(await series(node, 'login_wait_seconds_count')).toBe(1)
  await Promise.all(devices.map((device) => device.drop()))
})

test('the password of a client that has disconnected is not checked', async () => {
  const users = Array.from({ length: 40 }, (_, index) => `device-${index}`)
  await using node = await startWith(users, { loginChecksMax: 1 })
  for (const [index, username] of users.entries()) {
    await using client = await WireClient.open(node)
    client.send(encodeConnect({ clientId: `c-${index}`, username, password: 'wrong' }))
  }
  await expect
    .poll(() => series(node, 'logins_dropped_total', { reason: 'left' }))
    .toBeGreaterThan(20)
  await expect.poll(() => series(node, 'logins_waiting')).toBe(0)
})

test('300 devices that share one user name log in when the auth service is asked about each', async () => {
  const held: ServerResponse[] = []
  let isHeld = true
  await using service = await startHttpService((response) => {
    if (isHeld) held.push(response)
    else response.end('{"result":"allow"}')
  })
  await using node = await startNode({
    listen: ['mqtt://127.0.0.1:0'],
    limits: { authHttpTimeoutMs: 60_000, connectTimeoutMs: 60_000 },
    allowAnonymous: false,
    environment: { BREAKWATER_AUTH_HTTP_URL: service.url },
  })
  const devices = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const client = await WireClient.open(node, { timeoutMs: 30_000 })
      client.send(encodeConnect({ clientId: `d-${index}`, username: 'fleet', password: 'x' }))
      return client
    }),
  )
  // Each takes a token of failed logins until it is answered, and there are 30: the others wait.
  await expect.poll(() => series(node, 'logins_waiting', { kind: 'http' })).toBe(270)
  isHeld = false
  for (const response of held) response.end('{"result":"allow"}')
  for (const device of devices) expect((await device.expect('connack')).returnCode).toBe(0)
  expect(service.questions).toHaveLength(300)
  await Promise.all(devices.map((device) => device.drop()))
})
