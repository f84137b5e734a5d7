/** The metrics page as Prometheus reads it: well-formed, bounded in series, cheap to fill and to render. */
import { spawnSync } from 'node:child_process'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createInstruments, startRuntimeMetrics } from '@breakwater/metrics'
import { expect, test } from 'vitest'

const SERIES_MAX = 1_500
const INCREMENT_NS_MAX = 30
const OBSERVE_NS_MAX = 200
const RENDER_MS_MAX = 20

const promtoolMissing = spawnSync('promtool', ['--version']).error !== undefined

/** As large as a node gets: one listener of each kind, and more reasons than the broker has. */
function largeNode() {
  const reasons = Array.from({ length: 48 }, (_, index) => `reason-${index}`)
  return createInstruments({
    build: { version: '1.2.3', commit: 'abcdef0' },
    listeners: ['mqtts', 'mqtt', 'wss', 'ws'],
    closeReasons: reasons,
    dropReasons: reasons.slice(0, 16),
    logKinds: ['node'],
    redisFaults: ['other'],
    redisSettings: ['version'],
    redisKeys: ['log'],
  })
}

function seriesOf(body: string): string[] {
  return body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

function cpuMicroseconds(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

/** Median of nanoseconds of CPU time per call over eleven batches, after one that warms up. */
function nanosecondsPer(calls: number, batch: () => void): number {
  batch()
  const runs = Array.from({ length: 11 }, () => {
    const before = process.cpuUsage()
    batch()
    return (cpuMicroseconds(before) * 1_000) / calls
  })
  return median(runs)
}

test.skipIf(promtoolMissing)('promtool accepts the metrics page (needs promtool)', async () => {
  const instruments = largeNode()
  using _runtime = startRuntimeMetrics(instruments, { samplePeriodMs: 1, utilizationWindowMs: 1 })
  instruments.gauge('redis_up').cell().set(1)
  instruments.histogram('redis_round_trip_seconds').cell().observe(0.002)
  const certificate = instruments.gauge('tls_certificate_not_after_timestamp_seconds')
  certificate.cell({ listener: 'mqtts' }).set(1_800_000_000)
  const page = async () => (await instruments.render()).body
  await expect.poll(page).toMatch(/^breakwater_eventloop_utilization_ratio \d/m)

  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: await page(),
    encoding: 'utf8',
  })
  expect(`${stdout}${stderr}`).toBe('')
  expect(status).toBe(0)
})

test.skipIf(promtoolMissing)(
  'promtool refuses an invalid metrics page (needs promtool)',
  async () => {
    const { body } = await largeNode().render()
    const input = body.replace('breakwater_connections gauge', 'breakwater_connections counter')
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input,
      encoding: 'utf8',
    })
    expect(stderr).toContain('breakwater_connections counter metrics should have "_total" suffix')
    expect(status).not.toBe(0)
  },
)

test.skipIf(promtoolMissing)(
  'promtool can parse each query of docs/METRICS.md (needs promtool)',
  async () => {
    const page = await readFile(new URL('../../docs/METRICS.md', import.meta.url), 'utf8')
    const queries = [...page.matchAll(/`([a-z][a-z_0-9 ]*\([^`\n]*breakwater_[^`\n]*)`/g)]
    // In a table a bar is written with a backslash before it, also within code.
    const rules = queries.map(([, expr = ''], index) => ({
      record: `query${index}`,
      expr: expr.replaceAll(String.raw`\|`, '|'),
    }))
    expect(rules.length).toBeGreaterThanOrEqual(12)
    await using directory = await mkdtempDisposable(join(tmpdir(), 'breakwater-'))
    const file = join(directory.path, 'rules.yml')
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ groups: [{ name: 'docs', rules }] }))
    const check = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })
    const { status, stdout, stderr } = check
    expect(stderr).toBe('')
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`)
    expect(status).toBe(0)
  },
)

test(`the metrics page of a large node has at most ${SERIES_MAX} series, each once`, async () => {
  const series = seriesOf((await largeNode().render()).body)
  const names = series.map((line) => line.slice(0, line.lastIndexOf(' ')))
  expect(series.length).toBeGreaterThan(100)
  expect(series.length).toBeLessThanOrEqual(SERIES_MAX)
  expect(new Set(names).size).toBe(names.length)
})

test(`incrementing a counter takes at most ${INCREMENT_NS_MAX} ns of CPU time, observing a histogram ${OBSERVE_NS_MAX} ns`, () => {
  const instruments = largeNode()
  const received = instruments.counter('messages_received_total')
  const cells = (['0', '1', '2', '1'] as const).map((qos) => received.cell({ qos }))
  const acks = instruments.histogram('publish_ack_duration_seconds').cell({ qos: '1' })
  const calls = 200_000
  const increment = nanosecondsPer(calls, () => {
    for (let index = 0; index < calls; index += 1) cells[index & 3]!.add(1)
  })
  const observe = nanosecondsPer(calls, () => {
    for (let index = 0; index < calls; index += 1) acks.observe((index & 1023) / 1000)
  })
  console.info(`increment ${increment.toFixed(1)} ns, observe ${observe.toFixed(1)} ns`)
  expect(increment).toBeLessThanOrEqual(INCREMENT_NS_MAX)
  expect(observe).toBeLessThanOrEqual(OBSERVE_NS_MAX)
})

test(`rendering the metrics page takes at most ${RENDER_MS_MAX} ms of CPU time`, async () => {
  const instruments = largeNode()
  const runs: number[] = []
  let bytes = 0
  for (let run = 0; run < 30; run += 1) {
    const before = process.cpuUsage()
    bytes = (await instruments.render()).body.length
    runs.push(cpuMicroseconds(before) / 1_000)
  }
  console.info(`render ${median(runs).toFixed(2)} ms, ${(bytes / 1024).toFixed(0)} KiB`)
  expect(median(runs)).toBeLessThanOrEqual(RENDER_MS_MAX)
})
