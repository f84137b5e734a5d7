import { stat } from 'node:fs'
import { performance } from 'node:perf_hooks'

import { expect, test } from 'vitest'

import { createInstruments } from './instruments.ts'
import { observeDelay, startRuntimeMetrics } from './runtime.ts'

function node() {
  return createInstruments({
    build: { version: '1.2.3', commit: 'abcdef0' },
    listeners: ['mqtts'],
    closeReasons: ['client'],
    dropReasons: ['queue-full'],
    logKinds: ['node'],
    redisFaults: ['other'],
    redisSettings: ['version'],
    redisKeys: ['log'],
  })
}

async function read(instruments: ReturnType<typeof node>, series: string): Promise<number> {
  const { body } = await instruments.render()
  const line = body.split('\n').find((each) => each.startsWith(`breakwater_${series} `))
  return Number(line?.split(' ').at(-1))
}

function block(durationMs: number): void {
  const untilMs = performance.now() + durationMs
  while (performance.now() < untilMs);
}

test('a late event-loop sample counts for every sample that it delayed', () => {
  const waits: number[] = []
  const delay = { observe: (seconds: number) => waits.push(Math.round(seconds * 1000)) }
  observeDelay(delay, -0.4, 20)
  expect(waits).toEqual([0])
  observeDelay(delay, 7, 20)
  expect(waits).toEqual([0, 7])
  observeDelay(delay, 65, 20)
  expect(waits).toEqual([0, 7, 65, 45, 25, 5])
})

test('the event-loop delay includes time spent in callbacks of the poll phase, where sockets are read', async () => {
  const instruments = node()
  using _runtime = startRuntimeMetrics(instruments)
  await new Promise<void>((resolve) => {
    stat('.', () => {
      block(200)
      resolve()
    })
  })
  // 200 ms hide at least the waits of 160, 140, 120, 100, 80 and 60 ms.
  const longWaits = async () =>
    (await read(instruments, 'eventloop_delay_seconds_count')) -
    (await read(instruments, 'eventloop_delay_seconds_bucket{le="0.05"}'))
  await expect.poll(longWaits).toBeGreaterThanOrEqual(6)
})

test('reading the metrics page does not reset the event-loop delay', async () => {
  const instruments = node()
  using _runtime = startRuntimeMetrics(instruments)
  block(100)
  const longWaits = () => read(instruments, 'eventloop_delay_seconds_sum')
  await expect.poll(longWaits).toBeGreaterThan(0.1)
  expect(await longWaits()).toBeGreaterThan(0.1)
})

test('event-loop utilisation is absent at first, then the ratio of the last window alone', async () => {
  const instruments = node()
  const ratio = () => read(instruments, 'eventloop_utilization_ratio')
  expect(await ratio()).toBeNaN()
  using _runtime = startRuntimeMetrics(instruments, { samplePeriodMs: 1, utilizationWindowMs: 200 })
  block(250)
  await expect.poll(ratio).toBeGreaterThan(0.8)
  expect(await ratio()).toBeLessThanOrEqual(1)
  // Asking all the time would keep the loop busy.
  await expect.poll(ratio, { interval: 500 }).toBeLessThan(0.5)
})

test('a disposed event-loop sampler stops sampling', async () => {
  const [stopped, running] = [node(), node()]
  const count = 'eventloop_delay_seconds_count'
  const sampler = startRuntimeMetrics(stopped, { samplePeriodMs: 1 })
  await expect.poll(() => read(stopped, count)).toBeGreaterThan(0)
  sampler[Symbol.dispose]()
  const last = await read(stopped, count)
  using _other = startRuntimeMetrics(running, { samplePeriodMs: 1 })
  await expect.poll(() => read(running, count)).toBeGreaterThan(5)
  expect(await read(stopped, count)).toBe(last)
})
