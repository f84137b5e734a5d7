/** Fleets against an installed Mosquitto, over plain TCP and TLS. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority } from '@breakwater/broker'
import { runFleet, type FleetInput, type FleetResult, type Phase } from '@breakwater/simulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMosquitto, type Mosquitto } from '../kit/mosquitto.ts'
import { findProgram, skipWithout } from '../kit/program.ts'

const HOST = '127.0.0.1'

let folder: string
let ca: string
let mosquitto: Mosquitto
let plainUrl: string
let tlsUrl: string

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A short run with its defaults; other tests may share the core, so lateness is not judged. */
const run = (input: Partial<FleetInput>): Promise<FleetResult> =>
  runFleet({
    command: 'pubsub',
    urls: [plainUrl],
    devices: 20,
    connectRate: 2000,
    rate: 500,
    durationMs: 600,
    lagBoundMs: 60_000,
    ...input,
  })

const expectClean = (result: FleetResult): void => {
  expect(result.verdict).toEqual({ exitCode: 0, reasons: [] })
  const { lost, duplicates, outOfOrder, misrouted, corrupt, foreign } = result.integrity
  expect([lost, outOfOrder, misrouted, corrupt, foreign]).toEqual([0, 0, 0, 0, 0])
  expect(duplicates).toEqual({ qos0: 0, qos1: 0, qos2: 0 })
}

const suite = (): void => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'breakwater-fleet-'))
    const authority = await Authority.create('Fleet test')
    ca = authority.pair.cert
    const server = await authority.issue({
      commonName: 'localhost',
      usage: 'server',
      alternativeNames: ['localhost', HOST],
    })
    await writeFile(join(folder, 'cert.pem'), server.cert)
    await writeFile(join(folder, 'key.pem'), server.key)
    const tlsPort = await freePort()
    mosquitto = await startMosquitto({
      lines: [
        'set_tcp_nodelay true',
        `listener ${tlsPort} ${HOST}`,
        `certfile ${join(folder, 'cert.pem')}`,
        `keyfile ${join(folder, 'key.pem')}`,
      ],
    })
    plainUrl = `mqtt://${HOST}:${mosquitto.port}`
    tlsUrl = `mqtts://${HOST}:${tlsPort}`
  })

  afterAll(async () => {
    await mosquitto[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  test.each([0, 1, 2])(
    'sends every due message in pairs at QoS %i, and all messages arrive',
    async (qos) => {
      const result = await run({ qos })
      expectClean(result)
      expect(result.connections).toMatchObject({ planned: 20, ready: 20, failed: 0, lost: 0 })
      expect(result.published).toMatchObject({ total: 300, unsent: 0, targetPerSecond: 500 })
      expect(result.delivered.total).toBe(300)
      expect(result.acknowledged.total).toBe(qos === 0 ? 0 : 300)
      expect(result.latency.endToEnd.count).toBe(300)
      expect(result.latency.acknowledgement.count).toBe(qos === 0 ? 0 : 300)
      expect(result.latency.endToEnd.meanMs).toBeGreaterThanOrEqual(result.latency.transit.meanMs)
      expect(result.generator.lag.count).toBe(300)
    },
  )

  test.each([
    ['self', 10, 1],
    ['fan-in', 11, 1],
    ['fan-out', 11, 10],
  ] as const)('opens, in the pattern %s, %i connections', async (pattern, planned, receivers) => {
    const result = await run({ pattern, devices: 10, rate: 200, qos: 1 })
    expectClean(result)
    expect(result.connections.planned).toBe(planned)
    expect(result.published.total).toBe(120)
    expect(result.delivered.total).toBe(120 * receivers)
    expect(result.integrity.expected).toBe(120 * receivers)
  })

  test('sends messages during the warm-up, and does not measure them', async () => {
    const phases: Phase[] = []
    const result = await runFleet(
      { command: 'pubsub', urls: [plainUrl], rate: 500, warmupMs: 400, durationMs: 600 },
      { onPhase: (phase) => phases.push(phase) },
    )
    expect(phases).toEqual(['connect', 'warm-up', 'measure', 'drain', 'done'])
    expect(result.published.total).toBe(500)
    expect(result.latency.endToEnd.count).toBe(300)
  })

  test.each([
    ['pairs', 1],
    ['fan-in', 1],
    ['fan-out', 20],
  ] as const)(
    'saturated in the pattern %s: every message sent is delivered',
    async (pattern, receivers) => {
      const result = await run({ pattern, rate: undefined, saturate: true, window: 16 })
      expectClean(result)
      expect(result.published.total).toBeGreaterThan(1000)
      expect(result.delivered.total).toBe(result.published.total * receivers)
      expect(result.published.stalls).toBe(0)
    },
  )

  test.each([1, 2])('saturated at QoS %i: every message is also acknowledged', async (qos) => {
    const result = await run({ qos, rate: undefined, saturate: true, payloadBytes: 1024 })
    expectClean(result)
    expect(result.acknowledged.total).toBe(result.published.total)
    expect(result.delivered.bytes).toBe(result.published.total * 1024)
  })

  test('saturated with publishers alone: acknowledgements or the socket limit the rate', async () => {
    for (const qos of [0, 1]) {
      const result = await run({ command: 'pub', qos, rate: undefined, saturate: true })
      expect(result.verdict.exitCode).toBe(0)
      expect(result.published.total).toBeGreaterThan(1000)
    }
  })

  test('reports CPU time and memory of a watched process', async () => {
    const input = { rate: undefined, saturate: true, watchPids: [mosquitto.pid] }
    const [watched] = (await run(input)).watched
    expect(watched?.cpuMs).toBeGreaterThan(0)
    expect(watched?.cpuUsPerMessage).toBeGreaterThan(0)
    expect(watched?.residentBytes).toBeGreaterThan(1_000_000)
  })

  test('checks in one fleet the messages that another fleet publishes', async () => {
    const publishing = Promise.withResolvers<FleetResult>()
    const topic = 'shared/{{i}}'
    const load = { command: 'pub', topic, devices: 4, rate: 200, durationMs: 500 } as const
    const result = await runFleet(
      { command: 'sub', urls: [plainUrl], topic: 'shared/+', devices: 2, durationMs: 1500 },
      {
        onPhase: (phase) => {
          if (phase === 'measure') run(load).then(publishing.resolve, publishing.reject)
        },
      },
    )
    expect((await publishing.promise).published.total).toBe(100)
    expectClean(result)
    expect(result.delivered.total).toBe(200)
    expect(result.latency.endToEnd.count).toBe(200)
  })

  test('connects over TLS with the right authority, by address and by name', async () => {
    for (const url of [tlsUrl, tlsUrl.replace(HOST, 'localhost')]) {
      const result = await run({ urls: [url], ca, qos: 1 })
      expectClean(result)
      expect(result.connections.tls.count).toBe(20)
    }
  })

  test('connects no device over TLS with an unknown authority, unless verification is switched off', async () => {
    const refused = await run({ urls: [tlsUrl] })
    expect(refused.verdict.exitCode).toBe(2)
    expect(refused.connections.ready).toBe(0)
    expect(refused.connections.firstFailure).toMatch(/not trusted \(name its CA with --ca\)/)
    expect((await run({ urls: [tlsUrl], insecure: true })).verdict.exitCode).toBe(0)
  })

  test('distributes its devices over several brokers in turn', async () => {
    const result = await run({ command: 'connect', rate: undefined, urls: [plainUrl, tlsUrl], ca })
    expect(result.connections).toMatchObject({ ready: 20, tcp: { count: 20 }, tls: { count: 10 } })
  })

  test('runs 500 devices over TLS', async () => {
    const load = { devices: 500, connectRate: 500, rate: 2000, warmupMs: 500, durationMs: 2000 }
    const result = await run({ urls: [tlsUrl], ca, ...load })
    expectClean(result)
    expect(result.connections).toMatchObject({ ready: 500, lost: 0 })
    expect(result.published.total).toBe(5000)
    expect(result.delivered.total).toBe(5000)
  })

  test('exits with code 3 at a missed threshold, and names its expression', async () => {
    const result = await run({ thresholds: ['e2e.max<1us', 'loss==0'] })
    expect(result.verdict).toEqual({
      exitCode: 3,
      reasons: ['threshold missed: e2e.max<1us'],
    })
  })

  test('exits with code 4 when its generator is later than the bound, whatever the thresholds say', async () => {
    const result = await run({ lagBoundMs: 0.001, thresholds: ['e2e.max<1us'] })
    expect(result.verdict.exitCode).toBe(4)
    expect(result.verdict.reasons[0]).toMatch(/^generator overloaded: lag p99 .* bound 0.001 ms/)
  })

  test('ends an interrupted run early and reports the result', async () => {
    const interrupt = new AbortController()
    const result = await runFleet(
      // What this machine does beside the test is not what is tested.
      { command: 'pubsub', urls: [plainUrl], rate: 1000, durationMs: 60_000, lagBoundMs: 60_000 },
      { signal: interrupt.signal, onProgress: () => interrupt.abort(), progressIntervalMs: 300 },
    )
    expect(result.verdict).toEqual({ exitCode: 130, reasons: ['interrupted'] })
    expect(result.run).toMatchObject({ interrupted: true })
    expect(result.delivered.total).toBe(result.published.total)
    expect(result.published.total).toBeGreaterThan(0)
  })

  test('connects with the right credentials, and reports the reason for wrong ones', async () => {
    await using guarded = await startMosquitto({ users: { 'dev-1': 'right', 'dev-0': 'right' } })
    const input = {
      urls: [`mqtt://${HOST}:${guarded.port}`],
      devices: 2,
      clientId: 'dev-{{i}}',
      username: '{{id}}',
    }
    const accepted = await run({ ...input, password: 'right' })
    expectClean(accepted)
    expect(JSON.stringify(accepted)).not.toContain('right')
    const refused = await run({ ...input, password: 'wrong' })
    expect(refused.verdict.exitCode).toBe(2)
    expect(refused.connections.firstFailure).toMatch(/refused: not authorized \(CONNACK 5\)/)
  })

  test('counts a refused subscription as a failed connection', async () => {
    await using strict = await startMosquitto({ lines: ['max_topic_alias 0'] })
    // Mosquitto ends the connection of a client whose filter is not valid [MQTT-4.7.1-2].
    const urls = [`mqtt://${HOST}:${strict.port}`]
    const result = await run({ command: 'sub', rate: undefined, urls, topic: 'a/#/b', devices: 1 })
    expect(result.verdict.exitCode).toBe(2)
    expect(result.connections.firstFailure).toMatch(/before SUBACK|SUBACK 0x80/)
  })
}

if (findProgram('mosquitto') === undefined) {
  test('a fleet against Mosquitto', (context) => void skipWithout(context, 'mosquitto'))
} else {
  describe('a fleet against Mosquitto', suite)
}
