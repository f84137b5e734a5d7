import { expect, test } from 'vitest'
import { Histogram } from '../measure/histogram.ts'
import { judgeThreshold, parseThresholds, type Measured } from './threshold.ts'

const measured = (lost: number): Measured => {
  const endToEnd = new Histogram()
  for (let ms = 1; ms <= 100; ms++) endToEnd.record(ms * 1000)
  const none = new Histogram().summary()
  return {
    latencies: { e2e: endToEnd.summary(), transit: none, ack: none, lag: none, connect: none },
    counts: { loss: lost, dup: 0, rate: 1000 },
    expected: 10_000,
  }
}

const judge = (expression: string): boolean[] =>
  parseThresholds([expression], 'pubsub', 1).map(
    (threshold) => judgeThreshold(threshold, measured(5)).met,
  )

test.each([
  ['e2e.p50<51ms', true],
  ['e2e.p50<50ms', false],
  ['e2e.p99 <= 0.1s', true],
  ['e2e.max>99ms', true],
  ['loss==5', true],
  ['loss<5', false],
  ['loss<0.1%', true],
  ['loss<=0.01%', false],
  ['dup==0', true],
  ['rate>=1000/s', true],
  ['rate>1000', false],
])('the threshold %s is met: %s', (expression, met) => {
  expect(judge(expression)).toEqual([met])
})

test('a threshold on a measure without samples is missed', () => {
  expect(judge('transit.p99<1h')).toEqual([false])
})

test('a comma separates thresholds', () => {
  const thresholds = parseThresholds(['e2e.p99<50ms, loss==0', 'dup==0'], 'pubsub', 0)
  expect(thresholds.map(({ metric }) => metric)).toEqual(['e2e', 'loss', 'dup'])
})

test.each([
  ['e2e<50ms', 'pubsub', 0, /say which: e2e.p50/],
  ['loss.p99==0', 'pubsub', 0, /no statistic/],
  ['speed>1', 'pubsub', 0, /"speed" is not measured/],
  ['e2e.p99=50ms', 'pubsub', 0, /write it as/],
  ['e2e.p99<50parsecs', 'pubsub', 0, /not a duration/],
  ['loss<5ms', 'pubsub', 0, /not a value of loss/],
  ['e2e.p99<50ms', 'pub', 0, /pub with QoS 0 does not measure "e2e"/],
  ['ack.p99<50ms', 'pubsub', 0, /does not measure "ack"/],
  ['', 'pubsub', 0, /write it as/],
] as const)(
  'the threshold %j for the command %s is refused',
  (expression, command, qos, message) => {
    expect(() => parseThresholds([expression], command, qos)).toThrow(message)
  },
)
