import { expect, it } from 'vitest'
import { parseCommandLine, USAGE, UsageError } from './command-line.ts'

it('npm run simulate without options simulates a million devices on up to 50 nodes', () => {
  expect(parseCommandLine([])).toEqual({
    task: 'simulate',
    devices: 1_000_000,
    periodSeconds: 10,
    nodesMax: 50,
    chartFile: 'docs/scaling.svg',
  })
  expect(parseCommandLine(['--help', '--devices', '1'])).toBe(USAGE)
  expect(parseCommandLine(['--devices', '5e3', '--period', '0.5', '--measure'])).toMatchObject({
    task: 'measure',
    devices: 5_000,
    periodSeconds: 0.5,
  })
})

it.each([
  [['--devices', 'many'], '--devices: must be a number from 1 to 1000000000, not "many"'],
  [['--devices', ''], '--devices: must be a number from 1 to 1000000000, not ""'],
  [['--period', '0'], '--period: must be a number from 0.001 to 86400, not "0"'],
  [['--nodes-max', '1'], '--nodes-max: must be a number from 2 to 500, not "1"'],
  [['--measure', '--validate'], '--measure and --validate: one after the other'],
])('npm run simulate refuses %j in one line', (args, line) => {
  expect(() => parseCommandLine(args)).toThrow(new UsageError(line))
})

it.each([['--node-max'], ['--devices'], ['extra']])(
  'npm run simulate refuses %s in one line',
  (argument) => {
    expect(() => parseCommandLine([argument])).toThrow(UsageError)
    expect(() => parseCommandLine([argument])).not.toThrow('\n')
  },
)
