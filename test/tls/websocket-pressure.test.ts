/** A WebSocket that sends faster than the node can process is not read, and the memory of the node stays bounded. */
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { connectAt, startCluster } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { WireDecoder } from '../kit/wire-decoder.ts'
import * as wire from '../kit/wire-encoder.ts'
import type { WireClient } from '../kit/wire-client.ts'

const PAYLOAD_BYTES = 65_000
const MESSAGES = 500
/** What the kernel holds for both sides of a connection, and the node for one of its clients. */
const BUFFERS_BYTES_MAX = 16_000_000
const LOOKS = 20

interface Flood extends Disposable {
  readonly socket: WebSocket
  readonly acknowledged: Set<number>
}

/** A client that is to publish everything at once. */
async function connectFlood(node: TestNode): Promise<Flood> {
  const url = `wss://localhost:${node.ports[0]}/mqtt`
  const socket = new WebSocket(url, ['mqtt'], { ca: node.ca, family: 4 })
  const decoder = new WireDecoder()
  const acknowledged = new Set<number>()
  socket.on('message', (data: Buffer) => {
    for (const packet of decoder.push(data))
      if (packet.type === 'puback') acknowledged.add(packet.packetId)
  })
  await once(socket, 'open')
  socket.send(wire.encodeConnect({ clientId: unique('flood') }))
  await once(socket, 'message')
  return { socket, acknowledged, [Symbol.dispose]: () => socket.terminate() }
}

function publish({ socket }: Flood, topic: string, retain: boolean): void {
  const payload = Buffer.alloc(PAYLOAD_BYTES)
  for (let packetId = 1; packetId <= MESSAGES; packetId += 1)
    socket.send(wire.encodePublish({ topic, payload, qos: 1, retain, packetId }))
}

/** Bytes that wait at the client when no more have left for a while in which the node served another one. */
async function waiting({ socket }: Flood, other: WireClient): Promise<number> {
  let before = -1
  for (let unchanged = 0; unchanged < LOOKS; unchanged += 1) {
    if (socket.bufferedAmount !== before) unchanged = 0
    before = socket.bufferedAmount
    await other.expectSilence()
  }
  return before
}

const SETTINGS: NodeOptions = { listen: ['wss://127.0.0.1:0', 'mqtt://127.0.0.1:0'] }

it('a WebSocket client above its publish rate is slowed down, and other clients are served', async () => {
  await using node = await startNode({ ...SETTINGS, limits: { publishBytesPerSecondMax: 1_000 } })
  await using other = await connectAt(node)
  using publisher = await connectFlood(node)
  publish(publisher, unique('t'), false)
  expect(await waiting(publisher, other)).toBeGreaterThan(
    MESSAGES * PAYLOAD_BYTES - BUFFERS_BYTES_MAX,
  )
  const page = await MetricsPage.of(node)
  const read = page.value('breakwater_bytes_total', { direction: 'in', listener: 'wss' })
  expect(read).toBeLessThan(1_000_000)
})

it('a WebSocket client is not read while the store does not answer, and is acknowledged afterwards', async () => {
  await using cluster = await startCluster({ ...SETTINGS, limits: { storeTimeoutMs: 120_000 } })
  const node = cluster.a
  await using other = await connectAt(node)
  using publisher = await connectFlood(node)
  cluster.proxy.stall()
  publish(publisher, unique('t'), true)
  expect(await waiting(publisher, other)).toBeGreaterThan(
    MESSAGES * PAYLOAD_BYTES - BUFFERS_BYTES_MAX,
  )
  expect(publisher.acknowledged.size).toBe(0)
  await cluster.proxy.restore()
  await expect.poll(() => publisher.acknowledged.size, { timeout: 60_000 }).toBe(MESSAGES)
}, 90_000)
