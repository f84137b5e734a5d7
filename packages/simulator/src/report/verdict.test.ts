import { expect, test } from 'vitest'
import { ExitCode, reachVerdict, type Findings } from './verdict.ts'

const CLEAN: Findings = {
  interrupted: false,
  connectFailures: [],
  violations: [],
  overload: undefined,
  unsent: 0,
  thresholds: [{ expression: 'loss==0', met: true, actual: 0, unit: '' }],
}

const BAD: Findings = {
  interrupted: true,
  connectFailures: ['connect'],
  violations: ['lost'],
  overload: 'late',
  unsent: 3,
  thresholds: [{ expression: 'e2e.p99<1ms', met: false, actual: 2, unit: 'ms' }],
}

test('a fleet run without faults has exit code 0 and no reason', () => {
  expect(reachVerdict(CLEAN)).toEqual({ exitCode: ExitCode.ok, reasons: [] })
})

test.each<[ExitCode, (keyof Findings)[]]>([
  [130, ['interrupted', 'connectFailures', 'violations', 'overload', 'thresholds']],
  [2, ['connectFailures', 'violations', 'overload', 'thresholds']],
  [5, ['violations', 'overload', 'unsent', 'thresholds']],
  [4, ['overload', 'unsent', 'thresholds']],
  [3, ['unsent']],
  [3, ['thresholds']],
])(
  'exit code %i of the fleet command takes precedence over later ones in %j',
  (exitCode, names) => {
    const wrong = Object.fromEntries(names.map((name) => [name, BAD[name]]))
    const verdict = reachVerdict({ ...CLEAN, ...wrong })
    expect(verdict.exitCode).toBe(exitCode)
    expect(verdict.reasons).toHaveLength(names.length)
  },
)
