/**
 * A faulty broker: Mosquitto behind a proxy that drops, repeats, swaps or changes frames on
 * their way to the subscriber. What the fleet must report is known exactly.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import {
  encodeRemainingLength,
  FrameReader,
  PacketType,
  runFleet,
  type FleetInput,
  type FleetResult,
} from '@breakwater/simulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMosquitto, type Mosquitto } from '../kit/mosquitto.ts'
import { findProgram, skipWithout } from '../kit/program.ts'

const HOST = '127.0.0.1'

/** Gets every frame from the broker, by count per packet type and connection; returns what to send. */
type Fault = (frame: Buffer, type: number, count: number, socket: Socket) => readonly Buffer[]

interface FaultyBroker extends AsyncDisposable {
  readonly url: string
}

const relay = (client: Socket, brokerPort: number, fault: Fault): Socket => {
  const broker = connect(brokerPort, HOST)
  const reader = new FrameReader()
  const counts = new Map<number, number>()
  const onFrame = (firstByte: number, bytes: Buffer, start: number, end: number): void => {
    const type = firstByte >> 4
    const count = counts.get(type) ?? 0
    counts.set(type, count + 1)
    const length = encodeRemainingLength(end - start)
    const frame = Buffer.concat([Buffer.of(firstByte), length, bytes.subarray(start, end)])
    for (const sent of fault(frame, type, count, client)) client.write(sent)
  }
  broker.on('data', (chunk) => reader.push(chunk, chunk.length, { onFrame }))
  client.pipe(broker)
  broker.on('close', () => client.destroy())
  broker.on('error', () => client.destroy())
  client.on('close', () => broker.destroy())
  client.on('error', () => broker.destroy())
  return broker
}

const startFaultyBroker = async (brokerPort: number, fault: Fault): Promise<FaultyBroker> => {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const broker = relay(client, brokerPort, fault)
    for (const socket of [client, broker]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  return {
    url: `mqtt://${HOST}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

let mosquitto: Mosquitto

/** Four pairs, 50 messages each, every frame to a subscriber through `fault`. */
const runWith = async (fault: Fault, input: Partial<FleetInput> = {}): Promise<FleetResult> => {
  await using broker = await startFaultyBroker(mosquitto.port, fault)
  return await runFleet({
    command: 'pubsub',
    urls: [broker.url],
    devices: 8,
    connectRate: 2000,
    rate: 400,
    durationMs: 500,
    drainMs: 300,
    lagBoundMs: 60_000,
    ...input,
  })
}

const isPublish = (type: number): boolean => type === PacketType.publish

const dropsOneInTen: Fault = (frame, type, count) =>
  isPublish(type) && count % 10 === 3 ? [] : [frame]

const repeatsOneInTen: Fault = (frame, type, count) =>
  isPublish(type) && count % 10 === 3 ? [frame, frame] : [frame]

/** Swaps every frame whose count ends in 3 with the one after it. */
const swapsOneInTen = (): Fault => {
  const kept = new Map<Socket, Buffer>()
  return (frame, type, count, socket) => {
    if (!isPublish(type)) return [frame]
    if (count % 10 === 3) {
      kept.set(socket, frame)
      return []
    }
    return count % 10 === 4 ? [frame, kept.get(socket)!] : [frame]
  }
}

const suite = (): void => {
  beforeAll(async () => {
    mosquitto = await startMosquitto()
  })

  afterAll(() => mosquitto[Symbol.asyncDispose]())

  test('reports no fault when the proxy passes every frame on', async () => {
    const result = await runWith((frame) => [frame], { qos: 2 })
    expect(result.verdict).toEqual({ exitCode: 0, reasons: [] })
    expect(result.delivered.total).toBe(200)
  })

  test('exits with code 5 at lost messages, and counts them with the paths that lost them', async () => {
    const result = await runWith(dropsOneInTen)
    expect(result.verdict).toEqual({ exitCode: 5, reasons: ['20 messages lost'] })
    expect(result.integrity).toMatchObject({ expected: 200, lost: 20, outOfOrder: 0 })
    const run = result.run.id
    expect(result.integrity.worst).toHaveLength(4)
    expect(result.integrity.worst).toContainEqual({
      publisher: `fleet-${run}-0`,
      subscriber: `fleet-${run}-4`,
      lost: 5,
    })
  })

  test('judges loss by a threshold when there is one', async () => {
    expect((await runWith(dropsOneInTen, { thresholds: ['loss<=10%'] })).verdict.exitCode).toBe(0)
    expect((await runWith(dropsOneInTen, { thresholds: ['loss<20'] })).verdict.exitCode).toBe(3)
  })

  test('finds the loss of the last messages as well as of messages in between', async () => {
    const result = await runWith((frame, type, count) =>
      isPublish(type) && count >= 45 ? [] : [frame],
    )
    expect(result.integrity.lost).toBe(20)
    expect(result.verdict.exitCode).toBe(5)
  })

  test('reports a duplicate at QoS 0 and 2, and accepts a duplicate at QoS 1', async () => {
    const atMostOnce = await runWith(repeatsOneInTen)
    expect(atMostOnce.verdict).toEqual({ exitCode: 5, reasons: ['20 messages delivered twice'] })
    expect(atMostOnce.integrity.duplicates).toEqual({ qos0: 20, qos1: 0, qos2: 0 })
    const atLeastOnce = await runWith(repeatsOneInTen, { qos: 1 })
    expect(atLeastOnce.verdict.exitCode).toBe(0)
    expect(atLeastOnce.integrity.duplicates).toEqual({ qos0: 0, qos1: 20, qos2: 0 })
  })

  test('counts a QoS 2 PUBLISH that is repeated before PUBREL as one message [MQTT-4.3.3-2]', async () => {
    const result = await runWith(repeatsOneInTen, { qos: 2 })
    expect(result.integrity).toMatchObject({ lost: 0, duplicates: { qos2: 0 } })
    expect(result.delivered.total).toBe(200)
  })

  test('exits with code 5 at messages in another order', async () => {
    const result = await runWith(swapsOneInTen())
    expect(result.verdict).toEqual({ exitCode: 5, reasons: ['20 messages out of order'] })
    expect(result.integrity).toMatchObject({ lost: 0, outOfOrder: 20 })
  })

  test('counts a message at the wrong subscriber as misrouted', async () => {
    const result = await runWith((frame, type, count) => {
      // The publisher index is 12 bytes before the sequence's end; no publisher has the number 64.
      if (isPublish(type) && count === 7) frame.writeUInt32BE(64, frame.length - 64 + 8)
      return [frame]
    })
    expect(result.integrity).toMatchObject({ misrouted: 4, lost: 4 })
    expect(result.verdict.exitCode).toBe(5)
  })

  test('counts a message of another publisher as foreign, not as a fault', async () => {
    const result = await runWith((frame, type, count) => {
      if (!isPublish(type) || count !== 7) return [frame]
      const other = Buffer.from(frame)
      other.writeUInt32BE(0, other.length - 64)
      return [other, frame]
    })
    expect(result.integrity).toMatchObject({ foreign: 4, lost: 0 })
    expect(result.verdict.exitCode).toBe(0)
  })

  test('exits with code 5 when acknowledgements never arrive', async () => {
    const result = await runWith(
      (frame, type, count) => (type === PacketType.puback && count === 49 ? [] : [frame]),
      { command: 'pub', qos: 1, devices: 4 },
    )
    expect(result.verdict).toEqual({ exitCode: 5, reasons: ['4 messages never acknowledged'] })
  })

  test('continues a saturated run after a loss, and reports that', async () => {
    const result = await runWith(
      (frame, type, count) => (isPublish(type) && count >= 8 && count < 16 ? [] : [frame]),
      { rate: undefined, saturate: true, window: 8, durationMs: 3500 },
    )
    expect(result.integrity.lost).toBe(32)
    expect(result.published.stalls).toBe(1)
    expect(result.published.total).toBeGreaterThan(1000)
  })

  test.each([0, 1])('never lets a saturated publisher exceed its window at QoS %i', async (qos) => {
    const input = { qos, rate: undefined, saturate: true, window: 8, durationMs: 800 }
    const result = await runWith((frame, type) => (isPublish(type) ? [] : [frame]), input)
    expect(result.published.total).toBe(4 * 8)
    expect(result.integrity.lost).toBe(4 * 8)
  })

  test('exits with code 2 when a connection is cut during a run', async () => {
    const result = await runWith((frame, type, count, socket) => {
      if (isPublish(type) && count === 20) socket.destroy()
      return [frame]
    })
    expect(result.verdict.exitCode).toBe(2)
    expect(result.verdict.reasons[0]).toMatch(
      /^4 of 8 devices lost their connection: .* connected$/,
    )
    expect(result.connections).toMatchObject({ ready: 8, failed: 0, lost: 4 })
  })

  test('closes the connection of a device whose PINGREQ is not answered', async () => {
    const result = await runWith((frame, type) => (type === PacketType.pingresp ? [] : [frame]), {
      command: 'connect',
      rate: undefined,
      devices: 2,
      keepAliveS: 1,
      durationMs: 10_000,
    })
    expect(result.connections.reasons).toEqual({ 'no answer to PINGREQ': 2 })
    expect(result.verdict.exitCode).toBe(2)
  })

  test('closes the connection at bytes that are not MQTT, and names the fault', async () => {
    const result = await runWith((frame, type) =>
      type === PacketType.suback ? [Buffer.of(0x90, 0xff, 0xff, 0xff, 0xff, 0xff)] : [frame],
    )
    expect(result.verdict.exitCode).toBe(2)
    expect(result.connections.firstFailure).toMatch(/malformed: malformed remaining length/)
  })
}

test('reports a time-out for a broker that accepts connections and does not answer', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket)).listen(0, HOST)
  await once(server, 'listening')
  const result = await runFleet({
    command: 'connect',
    urls: [`mqtt://${HOST}:${(server.address() as AddressInfo).port}`],
    devices: 1,
    connectTimeoutMs: 200,
  })
  expect(result.verdict.exitCode).toBe(2)
  expect(result.connections.firstFailure).toMatch(/no answer in 200 ms before CONNACK/)
  for (const socket of sockets) socket.destroy()
  server.close()
})

if (findProgram('mosquitto') === undefined) {
  test('a fleet behind a faulty proxy', (context) => void skipWithout(context, 'mosquitto'))
} else {
  describe('a fleet behind a faulty proxy', suite)
}
