import { expect, it } from 'vitest'
import { lineThrough, median, shareOf } from './fit.ts'

it('the fit finds the cost per message and the cost per turn', () => {
  const at = (turns: number): { us: number; turns: number } => ({ us: 7 + 40 * turns, turns })
  const { messageUs, turnUs } = shareOf([at(0.95), at(0.3), at(0.05)])
  expect(messageUs).toBeCloseTo(7)
  expect(turnUs).toBeCloseTo(40)
})

it('the fit replaces a negative cost by zero, and explains the samples by the other cost', () => {
  const single = { us: 5, turns: 1 }
  const { messageUs, turnUs } = shareOf([single, { us: 0.4, turns: 0.1 }])
  expect(messageUs).toBe(0)
  expect(turnUs).toBeGreaterThan(4)
  expect(turnUs).toBeLessThan(5)
  expect(shareOf([single, { us: 9, turns: 0.1 }]).turnUs).toBe(0)
  expect(() => shareOf([single, single])).toThrow('the same number of messages')
})

it('a fitted line goes through both of its points, and a median is one of the values', () => {
  expect(lineThrough([2, 10], [5, 16])).toEqual({ at0: 6, slope: 2 })
  expect(median([3, 1, 2])).toBe(2)
})
