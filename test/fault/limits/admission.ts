/** Limits of admission: which sockets are held, which are closed, and that connected clients stay. */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { limitsWith } from '@breakwater/config'
import { expect } from 'vitest'
import { Admission } from '../../../packages/broker/src/admit/admission.ts'
import { LoopDelay } from '../../../packages/broker/src/admit/loop-delay.ts'
import { startNode, type TestNode } from '../../kit/node.ts'
import { WireClient, type WireAddress } from '../../kit/wire-client.ts'
import { encodeConnect } from '../../kit/wire-encoder.ts'
import { MetricsPage } from '../metrics-page.ts'
import { connect, LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

const PATIENT = { timeoutMs: 20_000 }

/** A client that says nothing; the node may have closed it already. */
async function openSilent({ port, host }: WireAddress): Promise<Socket> {
  const socket = connectTcp(port, host)
  socket.resume()
  await once(socket, 'connect').catch(() => undefined)
  socket.on('error', () => undefined)
  return socket
}

async function gauge(node: TestNode, of: 'handshakes' | 'held'): Promise<number> {
  return (await MetricsPage.of(node)).value(`breakwater_admission_${of}`)
}

/** Clients are admitted; a client that was shed before connects again. */
async function expectWelcome(node: TestNode): Promise<void> {
  const welcome = async (): Promise<number | undefined> => {
    try {
      await using client = await ask(node, 'again')
      return (await client.expect('connack')).returnCode
    } catch {
      return undefined
    }
  }
  await expect.poll(welcome, { timeout: 20_000 }).toBe(0)
}

/** The node has shed a socket for this reason, and that is counted. */
async function expectShed(node: TestNode, reason: string): Promise<void> {
  await node.logged((line) => line['msg'] === 'connection closed' && line['reason'] === reason)
  const page = await MetricsPage.of(node)
  const shed = page.value('breakwater_connections_closed_total', { reason })
  expect(shed).toBeGreaterThanOrEqual(1)
}

/** Sends CONNECT and leaves the answer to come. */
async function ask(node: TestNode, clientId: string): Promise<WireClient> {
  const client = await WireClient.open(node, PATIENT)
  client.send(encodeConnect({ clientId }))
  return client
}

async function driveConnections(): Promise<void> {
  await using node = await startNode({ listen, limits: { connectionsMax: 2 } })
  await using first = await connect(node)
  await using second = await connect(node)
  await openSilent(node)
  await expectShed(node, 'connections-full')
  expect((await MetricsPage.of(node)).value('breakwater_connections_max')).toBe(2)
  // Connected clients have noticed nothing.
  await second.expectSilence()
  await first.disconnect()
  await expectWelcome(node)
}

async function driveHandshakes(): Promise<void> {
  // A listener with a handshake that a test can leave undone without TLS.
  const web = ['ws://127.0.0.1:0']
  const limits = { handshakesMax: 1, handshakeTimeoutMs: 2_000 }
  await using node = await startNode({ listen: web, limits })
  const address = { host: node.host, port: node.ports[0] as number }
  // It has the only place until its time is up; a later client waits unread.
  const silent = await openSilent(address)
  await expect.poll(() => gauge(node, 'handshakes'), { timeout: 20_000 }).toBe(1)
  await using behind = await WireClient.open(address, PATIENT)
  behind.send(Buffer.from('GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n'))
  await expect.poll(() => gauge(node, 'held'), { timeout: 20_000 }).toBe(1)
  await node.logged((line) => line['reason'] === 'websocket-refused')
  expect(node.closeReasons()).toEqual(['handshake-timeout', 'websocket-refused'])
  silent.destroy()
}
async function driveUnanswered(): Promise<void> {
  const limits = { unansweredMax: 1, connectTimeoutMs: 1_000 }
  await using node = await startNode({ listen, limits })
  await openSilent(node)
  await using behind = await ask(node, 'behind')
  expect(await behind.expect('connack')).toMatchObject({ returnCode: 0 })
  expect(node.closeReasons()).toEqual(['connect-timeout'])
  // A connected client takes no room.
  await using next = await ask(node, 'next')
  expect(await next.expect('connack')).toMatchObject({ returnCode: 0 })
}

async function driveBegins(): Promise<void> {
  const limits = limitsWith({ beginsPerTurnMax: 3 })
  using admission = new Admission({ limits, connectionsMax: 100, loopDelay: new LoopDelay() })
  let begun = 0
  const visitor = { begin: () => void (begun += 1), shed: () => expect.fail('it was shed') }
  for (let count = 0; count < 10; count += 1) admission.arrive(admission.permit(), visitor)
  expect([begun, admission.held]).toEqual([0, 10])
  for (const after of [3, 6, 9, 10]) {
    await turn()
    expect(begun).toBe(after)
  }
  expect(admission.held).toBe(0)
}

async function driveConnectRate(): Promise<void> {
  await using node = await startNode({ listen, limits: { connectsPerSecondMax: 10 } })
  const startedAt = performance.now()
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, index) => ask(node, `client-${index}`)),
  )
  for (const client of clients) expect((await client.expect('connack')).returnCode).toBe(0)
  // Ten at once, and one for which there was no token.
  expect(performance.now() - startedAt).toBeGreaterThan(800)
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
}

async function driveAddressRate(): Promise<void> {
  const limits = { connectsPerAddressPerSecondMax: 2 }
  for (const known of ['real', 'unknown']) {
    const environment = { BREAKWATER_CLIENT_ADDRESS: known }
    await using node = await startNode({ listen, limits, environment })
    // All of them at once: while they arrive only a few tokens are refilled.
    const sockets = await Promise.all(Array.from({ length: 100 }, () => openSilent(node)))
    if (known === 'real') await expectShed(node, 'address-rate')
    else await expect.poll(() => node.closeReasons()).toEqual([])
    for (const socket of sockets) socket.destroy()
  }
}

async function driveHeld(): Promise<void> {
  const limits = { unansweredMax: 1, heldMax: 2 }
  await using node = await startNode({ listen, limits })
  for (let count = 0; count < 3; count += 1) await openSilent(node)
  await expect.poll(() => gauge(node, 'held'), { timeout: 20_000 }).toBe(2)
  await openSilent(node)
  await expectShed(node, 'held-full')
}

async function driveHeldTimeout(): Promise<void> {
  const limits = { unansweredMax: 1, heldTimeoutMs: 500 }
  await using node = await startNode({ listen, limits })
  await openSilent(node)
  const startedAt = performance.now()
  await openSilent(node)
  await expectShed(node, 'held-too-long')
  expect(performance.now() - startedAt).toBeGreaterThan(450)
}

async function driveLoopDelay(): Promise<void> {
  await using node = await startNode({ listen, limits: { loopDelayMaxMs: 30 } })
  await using client = await connect(node)
  // The node is in this process: blocking the event loop here blocks the node.
  const block = (): void => {
    const until = performance.now() + 60
    while (performance.now() < until);
  }
  const sockets: Socket[] = []
  while (!node.closeReasons().includes('overloaded')) {
    const socket = connectTcp(node.port, node.host).on('error', () => undefined)
    sockets.push(socket)
    block()
    await turn()
  }
  await expectShed(node, 'overloaded')
  await client.expectSilence()
  for (const socket of sockets) socket.destroy()
  await expectWelcome(node)
}

export const admissionLimits = {
  connectionsMax: driveConnections,
  handshakesMax: driveHandshakes,
  unansweredMax: driveUnanswered,
  beginsPerTurnMax: driveBegins,
  connectsPerSecondMax: driveConnectRate,
  connectsPerAddressPerSecondMax: driveAddressRate,
  heldMax: driveHeld,
  heldTimeoutMs: driveHeldTimeout,
  loopDelayMaxMs: driveLoopDelay,
} as const satisfies Readonly<Record<string, LimitDriver>>
