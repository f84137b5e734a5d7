import { expect, test } from 'vitest'
import { View } from './view.ts'

const LEASE_MS = 60_000

test('a view that is being read again is confirmed by the end of the reading, not by the head of the log', () => {
  const view = new View(LEASE_MS, LEASE_MS)
  let caughtUp = false
  view.headRead(5, performance.now())
  expect(view.confirmed).toBe(false)
  view.appliedTo(5)
  expect(view.confirmed).toBe(true)
  view.reset()
  view.whenCaughtUp(() => {
    caughtUp = true
  })
  // A beat in the middle of it: nothing is new in the log, and the tables are empty.
  view.headRead(5, performance.now())
  expect([view.confirmed, caughtUp]).toEqual([false, false])
  view.appliedTo(5)
  expect([view.confirmed, caughtUp]).toEqual([true, true])
  view.close()
})
