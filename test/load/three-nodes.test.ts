/**
 * A fleet over TLS on three nodes, in processes of their own, while Prometheus reads them. Short here;
 * `BREAKWATER_TEST_LOAD_SECONDS=60 npm test -- test/load` is the minute with 500 devices.
 */
import { formatReport, runFleet } from '@breakwater/simulator'
import { describe, expect, it } from 'vitest'
import { spawnNode } from '../kit/node.ts'
import { skipWithout } from '../kit/program.ts'
import { startPrometheus } from '../kit/prometheus.ts'
import { startRedis } from '../kit/redis/redis.ts'

const DEVICES = 500
const SECONDS = Number(process.env['BREAKWATER_TEST_LOAD_SECONDS'] ?? 5)
const MESSAGES_PER_SECOND = 500

describe('500 devices over TLS on three nodes', () => {
  it.for([
    { qos: 0, pattern: 'pairs' as const },
    { qos: 1, pattern: 'fan-in' as const },
  ])(
    'lose no message at QoS $qos, $pattern, and Prometheus reads all nodes',
    { timeout: (SECONDS + 60) * 1_000 },
    async ({ qos, pattern }, context) => {
      const [program] = skipWithout(context, 'prometheus')
      await using redis = await startRedis()
      const settings = {
        redisUrl: redis.url,
        redisPrefix: redis.prefix,
        environment: { BREAKWATER_LOG_LEVEL: 'info' },
      }
      await using a = await spawnNode(settings)
      await using b = await spawnNode(settings)
      await using c = await spawnNode(settings)
      const nodes = [a, b, c]
      await using prometheus = await startPrometheus(
        program,
        nodes.map(({ adminPort }) => `127.0.0.1:${adminPort}`),
      )
      const result = await runFleet({
        command: 'pubsub',
        urls: nodes.map(({ tlsPort }) => `mqtts://127.0.0.1:${tlsPort}`),
        ca: a.ca,
        devices: DEVICES,
        pattern,
        qos,
        rate: MESSAGES_PER_SECOND,
        connectRate: 250,
        durationMs: SECONDS * 1_000,
        // What this machine does beside the test is not what is tested.
        lagBoundMs: 60_000,
      })
      expect(result.verdict.reasons, formatReport(result, process.stderr)).toEqual([])
      expect(result.verdict.exitCode).toBe(0)
      expect(result.delivered.total).toBe(result.published.total)

      const received = 'sum(breakwater_messages_received_total)'
      await expect
        .poll(async () => (await prometheus.query(received))[0])
        .toBe(result.published.total)
      expect(await prometheus.query('up')).toEqual([1, 1, 1])
      expect(await prometheus.query('sum(breakwater_messages_dropped_total)')).toEqual([0])
      expect(await prometheus.query('min(breakwater_redis_up)')).toEqual([1])
      const bus = (direction: string): Promise<readonly number[]> =>
        prometheus.query(`sum(breakwater_bus_messages_total{direction="${direction}"})`)
      const [sent = 0] = await bus('out')
      expect(sent).toBeGreaterThan(0)
      // A message goes to a node that has a subscriber, and to no other.
      expect(sent).toBeLessThanOrEqual(result.published.total)
      // Nodes are not scraped all at once.
      await expect.poll(async () => (await bus('in'))[0]).toBe(sent)
      const [frames = 0] = await prometheus.query(
        'sum(breakwater_bus_frames_total{direction="out"})',
      )
      expect(frames).toBeGreaterThan(0)
      expect(frames).toBeLessThanOrEqual(sent)
      expect(
        await prometheus.query('sum(breakwater_connections_closed_total{reason!="disconnected"})'),
      ).toEqual([0])
    },
  )
})
