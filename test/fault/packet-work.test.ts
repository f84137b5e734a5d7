/*
 * The work of a packet is linear in its bytes, whatever is in it: measured as CPU time of the node's process, for
 * packets as large as a node takes them, against a packet of the same size that nobody would call an attack. Beside
 * them a bystander is answered, which counts as a fact, not as a time.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { spawnNode, type NodeProcess } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import * as wire from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'

/** A little below `packetBytesMax`. */
const BYTES = 260_000
/** CPU of an attack, in that of the harmless packet: far below what one more factor of its filters would cost. */
const RATIO_MAX = 12
/** What a measurement may be off by: garbage collection, other clients, the metrics page itself. */
const NOISE_S = 0.15

const many = (bytesEach: number, filterOf: (index: number) => string): string[] =>
  Array.from({ length: Math.floor(BYTES / bytesEach) }, (_, index) => filterOf(index))
/** One of 8,192 shapes. */
const shape = (index: number): string =>
  Array.from({ length: 13 }, (_, level) => ((index >> level) & 1 ? '+' : 'a')).join('/')
const short = (index: number): string => index.toString(36).padStart(5, '0')
const subscribe = (filters: readonly string[]): Buffer =>
  wire.encodeSubscribe(
    1,
    filters.map((filter) => [filter, 1] as const),
  )

/** 64 filters of 4 KiB, as a client with long topics has them. */
const HARMLESS = subscribe(many(4_096, (index) => `${short(index)}/`.padEnd(4_090, 'x')))

const ATTACKS: readonly (readonly [string, Buffer, 'suback' | 'unsuback'])[] = [
  ['a SUBSCRIBE with 32,000 filters', subscribe(many(8, short)), 'suback'],
  ['a SUBSCRIBE with one filter 65,000 times', subscribe(many(4, () => 'a')), 'suback'],
  ['a SUBSCRIBE with # 65,000 times', subscribe(many(4, () => '#')), 'suback'],
  ['a SUBSCRIBE with filters of ever-new shapes', subscribe(many(28, shape)), 'suback'],
  [
    'a SUBSCRIBE with filters of 100 levels',
    subscribe(many(208, (index) => `${'+/'.repeat(97)}${short(index)}/x`)),
    'suback',
  ],
  [
    'a SUBSCRIBE with 14,000 malformed shared filters',
    subscribe(many(18, (index) => `$share/+/${short(index)}`)),
    'suback',
  ],
  [
    'an UNSUBSCRIBE with 37,000 filters that are not subscribed',
    wire.encodeUnsubscribe(1, many(7, short)),
    'unsuback',
  ],
  [
    'an UNSUBSCRIBE with one filter 87,000 times',
    wire.encodeUnsubscribe(
      1,
      many(3, () => 'a'),
    ),
    'unsuback',
  ],
]

async function cpuSeconds(node: NodeProcess): Promise<number> {
  return (await MetricsPage.of(node)).value('process_cpu_seconds_total')
}

/** Sends the packet; the CPU time until its answer, during which a bystander is answered too. */
async function costOf(
  node: NodeProcess,
  packet: Buffer,
  answer: 'suback' | 'unsuback',
  clean: boolean,
): Promise<number> {
  await using bystander = await WireClient.open(node)
  await bystander.connect({ clientId: 'bystander' })
  await using client = await WireClient.open(node)
  await client.connect({ clientId: 'client', clean })
  const before = await cpuSeconds(node)
  client.send(packet)
  bystander.send(wire.encodePingreq())
  await bystander.expect('pingresp')
  await client.expect(answer)
  const cost = (await cpuSeconds(node)) - before
  await client.expectSilence()
  // What was stored ends with this.
  await using end = await WireClient.open(node)
  await end.connect({ clientId: 'client', clean: true })
  return cost
}

describe.each(['memory', 'redis'] as const)(
  'with sessions in %s, the CPU cost of a packet',
  (store) => {
    const resources = new AsyncDisposableStack()
    let node: NodeProcess
    let harmless = 0
    const clean = store === 'memory'

    beforeAll(async () => {
      const redis = store === 'redis' ? resources.use(await startRedis()) : undefined
      const settings = redis && { redisUrl: redis.url, redisPrefix: redis.prefix }
      const limits = { controlBytesPerSecondMax: 0, filterBytesPerClientMax: 1_000_000 }
      const listen = ['mqtt://127.0.0.1:0']
      node = resources.use(await spawnNode({ ...settings, listen, limits }))
      // Once to be compiled.
      await costOf(node, HARMLESS, 'suback', clean)
      harmless = await costOf(node, HARMLESS, 'suback', clean)
    })
    afterAll(() => resources.disposeAsync())

    it.each(ATTACKS)('is linear in its bytes: %s', async (_what, packet, answer) => {
      expect(packet.length).toBeLessThanOrEqual(262_144)
      expect(packet.length).toBeGreaterThan(BYTES * 0.85)
      const cost = await costOf(node, packet, answer, clean)
      expect(cost).toBeLessThan(harmless * RATIO_MAX + NOISE_S)
    })
  },
)
