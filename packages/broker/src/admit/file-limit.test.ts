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
])('%i connections asked, %s files: %i', (asked, soft, allowed) => {
  expect(connectionsAllowed(asked, limits(soft))).toBe(allowed)
})

test('a system that does not say allows some', () => {
  expect(connectionsAllowed(0, undefined)).toBe(9_728)
  expect(connectionsAllowed(0, 'Max processes unlimited')).toBe(9_728)
})

test.runIf(process.platform === 'linux')('this system says', () => {
  expect(readProcessLimits()).toMatch(/^Max open files +\S+/m)
})
