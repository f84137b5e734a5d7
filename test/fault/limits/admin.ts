/** Limits of the admin server, and of the bytes of revocations. */
import { once } from 'node:events'
import { connect as dial, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as immediate } from 'node:timers/promises'
import { expect } from 'vitest'
import { adminEnvironment, askAdmin } from '../../kit/admin-client.ts'
import { startNode, type TestNode } from '../../kit/node.ts'
import { MetricsPage } from '../metrics-page.ts'
import { LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

/** A connection to the admin server that has sent this, and no more. */
async function open({ adminPort }: TestNode, sent = ''): Promise<Socket> {
  const socket = dial(adminPort, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(sent)
  return socket
}

async function refused(node: TestNode, reason: string): Promise<number> {
  return (await MetricsPage.of(node)).value('breakwater_admin_refused_total', { reason })
}

/** One and the room for probes: what came first makes room. */
async function driveRoom(
  name: 'adminConnectionsMax' | 'adminConnectionsPerAddressMax',
  room: number,
  reason: string,
): Promise<void> {
  const environment = adminEnvironment()
  await using node = await startNode({ listen, environment, limits: { [name]: 1 } })
  const sockets: Socket[] = []
  for (let count = 0; count < 1 + room; count += 1) sockets.push(await open(node))
  const [first] = sockets as [Socket]
  const closed = once(first, 'close')
  sockets.push(await open(node))
  await closed
  expect(sockets.at(-1)?.destroyed).toBe(false)
  for (const socket of sockets) socket.destroy()
  expect(await refused(node, reason)).toBe(1)

  // A request is under way: another one has to wait, a probe has not.
  const busy = await open(
    node,
    'POST /api/v1/revocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
      'Content-Length: 100\r\nAuthorization: Bearer the-token-of-the-tests\r\nExpect: 100-continue\r\n\r\n',
  )
  const [answer] = (await once(busy, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 100 /)
  expect((await askAdmin(node, 'GET', 'nodes')).status).toBe(503)
  expect((await fetch(`http://127.0.0.1:${node.adminPort}/readyz`)).status).toBe(200)
  const freed = once(busy, 'close')
  busy.destroy()
  await freed
  // The node hears of it a moment later.
  while ((await askAdmin(node, 'GET', 'nodes')).status === 503) await immediate()
}

async function driveIdle(): Promise<void> {
  await using node = await startNode({ listen, limits: { adminIdleTimeoutMs: 200 } })
  const silent = await open(node)
  expect(await text(silent)).toBe('')
  const asked = await open(node, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect(await text(asked)).toMatch(/^HTTP\/1\.1 200 /)
}

async function driveRequest(): Promise<void> {
  await using node = await startNode({ listen, limits: { adminRequestTimeoutMs: 200 } })
  const slow = await open(node, 'GET /livez HTTP/1.1\r\nHost: loc')
  expect(await text(slow)).toMatch(/^HTTP\/1\.1 408 /)
  expect(await refused(node, 'slow')).toBe(1)
}

async function driveRevocationBytes(): Promise<void> {
  const environment = adminEnvironment()
  await using node = await startNode({
    listen,
    environment,
    limits: { revocationsBytesMax: 4_096 },
  })
  const revoke = async (clientId: string): Promise<number> =>
    (await askAdmin(node, 'POST', 'revocations', { body: { clientId } })).status
  const [one, two] = ['1', '2'].map((letter) => letter.repeat(1_500)) as [string, string]
  expect([await revoke(one), await revoke(two)]).toEqual([201, 507])
  expect(
    (await askAdmin(node, 'DELETE', 'revocations', { body: { id: `clientId:${one}` } })).status,
  ).toBe(204)
  expect(await revoke(two)).toBe(201)
}

export const adminLimits = {
  adminConnectionsMax: () => driveRoom('adminConnectionsMax', 32, 'full'),
  adminConnectionsPerAddressMax: () =>
    driveRoom('adminConnectionsPerAddressMax', 8, 'address-full'),
  adminIdleTimeoutMs: driveIdle,
  adminRequestTimeoutMs: driveRequest,
  revocationsBytesMax: driveRevocationBytes,
} as const satisfies Readonly<Record<string, LimitDriver>>
