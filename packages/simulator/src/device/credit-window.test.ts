import { expect, test } from 'vitest'
import { CreditWindow } from './credit-window.ts'

test('a credit window with one receiver grows with every delivery', () => {
  const window = new CreditWindow(4, 1)
  expect(window.limit).toBe(4)
  window.advance(0, 3)
  expect(window.limit).toBe(7)
})

test('a credit window with several receivers follows the slowest receiver', () => {
  const window = new CreditWindow(4, 3)
  window.advance(0, 4)
  window.advance(0, 4)
  expect(window.limit).toBe(4)
  window.advance(0, 1)
  expect(window.limit).toBe(5)
  window.advance(1, 4)
  expect(window.limit).toBe(8)
})

test('a credit window goes on after a lost message once a later message has arrived', () => {
  const window = new CreditWindow(4, 2)
  window.advance(0, 1)
  window.advance(0, 3) // 1 and 2 count with 3, whether they came or not
  window.advance(1, 3)
  expect(window.limit).toBe(7)
})

test('a credit window reuses the entries of its ring', () => {
  const window = new CreditWindow(5, 2)
  for (let sequence = 0; sequence < 1000; sequence++) {
    window.advance(sequence, sequence + 1)
    expect(window.limit).toBe(sequence + 5)
    window.advance(sequence, sequence + 1)
    expect(window.limit).toBe(sequence + 6)
  }
})

test('a credit window does not count late deliveries of forfeited messages', () => {
  const window = new CreditWindow(4, 2)
  window.advance(0, 4)
  window.forfeit(4)
  expect(window.limit).toBe(8)
  window.advance(0, 4)
  expect(window.limit).toBe(8)
  // Far enough for the places in the ring to be used again.
  for (let sequence = 4; sequence < 20; sequence++) {
    window.advance(sequence, sequence + 1)
    expect(window.limit).toBe(sequence + 4)
    window.advance(sequence, sequence + 1)
    expect(window.limit).toBe(sequence + 5)
  }
})
