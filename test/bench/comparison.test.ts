/** How a benchmark turns samples into a comparison, without any broker. */
import { describe, expect, test } from 'vitest'
import { parseCommandLine, UsageError, type Invocation } from './command-line.ts'
import { judge } from './goal.ts'
import { formatResult } from './result-file.ts'
import { describeBench, describeScenario } from './result.ts'
import type { Sample } from './sample.ts'
import { SCENARIOS } from './scenario.ts'
import { spreadOf } from './statistics.ts'

const pairs = SCENARIOS.find(({ name }) => name === 'pairs-qos0')!

function sample(round: number, cpuUsPerMessage: number, fields: Partial<Sample> = {}): Sample {
  return {
    round,
    cpuUsPerMessage,
    messagesPerSecond: 1_000,
    p50Ms: 1,
    p99Ms: 2,
    residentBytes: 1_048_576,
    brokerCpu: 1,
    generatorCpu: 0.5,
    foreignCpu: 0,
    generatorBound: false,
    ...fields,
  }
}

describe('a benchmark comparison', () => {
  test('takes the middle value as median, or the mean of the two middle values', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 })
    expect(spreadOf([])).toBeUndefined()
  })

  test('computes ratios within each round', () => {
    const { comparisons } = describeScenario(
      pairs,
      new Map([
        ['breakwater', [sample(0, 1), sample(1, 4), sample(2, 3)]],
        ['stock', [sample(0, 10), sample(1, 10), sample(2, 10)]],
      ]),
    )
    expect(comparisons).toHaveLength(1)
    expect(comparisons[0]).toMatchObject({
      against: 'stock',
      cpuRatio: { median: 0.3, min: 0.1, max: 0.4 },
    })
  })

  test('leaves out a sample that lost messages, and says so', () => {
    const result = describeScenario(
      pairs,
      new Map([
        ['breakwater', [sample(0, 1, { invalid: '3 messages lost' }), sample(0, 2)]],
        ['mosquitto', [sample(0, 4)]],
      ]),
    )
    expect(result.comparisons[0]?.cpuRatio.median).toBe(0.5)
    expect(result.brokers[0]?.notes).toEqual(['round 1 does not count: 3 messages lost'])
  })

  test('compares latencies only when the load generator kept its schedule', () => {
    const late = { generatorBound: true, p99Ms: 500 }
    const { comparisons } = describeScenario(
      pairs,
      new Map([
        ['breakwater', [sample(0, 1, late), sample(1, 1, { p99Ms: 5 })]],
        ['mosquitto', [sample(0, 1), sample(1, 1, { p99Ms: 3 })]],
      ]),
    )
    expect(comparisons[0]?.p99MarginMs).toEqual({ median: 2, min: 2, max: 2 })
  })
})

describe('a benchmark goal', () => {
  const goal = { kind: 'cpu-ratio', against: 'mosquitto', atMost: 0.25 } as const

  test.each([
    [0.25, true],
    [0.26, false],
  ])('of 0.25 with a ratio of %d is reached: %s', (ratio, reached) => {
    const cpuRatio = { median: ratio, min: 0, max: 1 }
    expect(judge(goal, { cpuRatio, p99MarginMs: undefined })).toEqual({
      goal: 'CPU ≤ 0.25 × Mosquitto',
      measured: ratio,
      reached,
    })
  })

  test('is neither reached nor missed when the rival was not measured', () => {
    expect(judge(goal, undefined)).toMatchObject({ measured: undefined, reached: undefined })
  })
})

describe('the command line of the benchmark', () => {
  const names = (...args: string[]): string[] =>
    (parseCommandLine(args) as Invocation).scenarios.map(({ name }) => name)

  test('takes a full scenario name as that scenario, and a prefix as all scenarios that begin with the prefix', () => {
    expect(names('--only', 'steady-qos0')).toEqual(['steady-qos0'])
    expect(names('--only', 'steady')).toEqual(['steady-qos0', 'steady-qos1', 'steady-qos0-tls'])
  })

  test('runs the idle-connection scenario by default, and alone when --only names it', () => {
    expect(parseCommandLine(['--only', 'pairs'])).toMatchObject({ idle: undefined })
    expect(parseCommandLine(['--only', 'idle'])).toMatchObject({ scenarios: [] })
    expect((parseCommandLine([]) as Invocation).idle).toBeDefined()
  })

  test.each([[['--only', 'nothing']], [['--only', '']], [['--rounds', '0']], [['--unknown']]])(
    'refuses %j',
    (args) => {
      expect(() => parseCommandLine(args)).toThrow(UsageError)
    },
  )
})

test('a benchmark result file keeps its data, in lines of at most 100 characters except for long strings', () => {
  const scenario = describeScenario(
    pairs,
    new Map([['breakwater', [sample(0, 1 / 3), sample(1, 0.5)]]]),
  )
  const timing = { rounds: 2, warmupMs: 1, durationMs: 1 }
  const text = formatResult(
    describeBench({
      startedAt: new Date(0),
      cores: undefined,
      quick: false,
      timing,
      scenarios: [scenario],
      idle: undefined,
    }),
  )
  const file = JSON.parse(text) as {
    sampleColumns: string[]
    scenarios: { brokers: { cpuUsPerMessage: number[]; samples: number[][] }[] }[]
  }
  const [broker] = file.scenarios[0]!.brokers
  expect(broker?.cpuUsPerMessage).toEqual([0.4167, 0.3333, 0.5])
  expect(broker?.samples[1]?.[file.sampleColumns.indexOf('cpuUsPerMessage')]).toBe(0.5)
  const long = text.split('\n').filter((line) => line.length > 100)
  expect(long.filter((line) => !line.trim().startsWith('"mosquitto"'))).toEqual([])
})
