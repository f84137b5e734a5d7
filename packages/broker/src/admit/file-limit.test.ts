import { expect, test } from 'vitest'
import { connectionsAllowed, readProcessLimits } from './file-limit.ts'

const limits = (soft: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max processes             unlimited            unlimited            processes \n` +
  `Max open files            ${soft.padEnd(20)} 1048576              files     \n`

test.each([
  [0, '20000', 19_488],
  [0, '1024', 512],
  [0, '256', 128],
  [0, 'unlimited', Infinity],
  [5_000, 'unlimited', 5_000],
  [5_000, '20000', 5_000],
  [30_000, '20000', 19_488],
])(
  '%i configured connections and a limit of %s open files allow %i connections',
  (asked, soft, allowed) => {
    expect(connectionsAllowed(asked, limits(soft))).toBe(allowed)
  },
)

test('an unknown limit of open files allows a default number of connections', () => {
  expect(connectionsAllowed(0, undefined)).toBe(9_728)
  expect(connectionsAllowed(0, 'Max processes unlimited')).toBe(9_728)
})

test.runIf(process.platform === 'linux')('Linux reports the limit of open files', () => {
  expect(readProcessLimits()).toMatch(/^Max open files +\S+/m)
})
