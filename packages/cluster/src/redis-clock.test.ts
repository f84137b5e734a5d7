import { expect, test } from 'vitest'
import { RedisClock } from './redis-clock.ts'

const HOUR = 3_600_000

/** What the clock says is ahead of Redis' time at the moment at which it is asked. */
function lead(clock: RedisClock, redisMs: number, at: number): number {
  return clock.now() - performance.now() + at - redisMs
}

test('the Redis clock is the clock of the machine before the first answer of Redis', () => {
  expect(Math.abs(new RedisClock().now() - Date.now())).toBeLessThan(1_000)
})

test('the Redis clock matches Redis within half of the round trip, however wrong the local clock is', () => {
  for (const offBy of [-HOUR, 0, HOUR]) {
    const clock = new RedisClock()
    const redisMs = Date.now() + offBy
    clock.heard(redisMs, 1_000, 1_200)
    // Redis read its clock at some time between 1,000 and 1,200.
    expect(Math.abs(lead(clock, redisMs, 1_100))).toBeLessThan(0.01)
  }
})

test('the Redis clock steps back by at most half of the round trip when another server answers', () => {
  const clock = new RedisClock()
  const redisMs = Date.now()
  clock.heard(redisMs, 1_000, 1_000)
  clock.heard(redisMs + 500 - HOUR, 1_500, 1_502)
  expect(lead(clock, redisMs + 501, 1_501)).toBeCloseTo(-1, 2)
})

test('the Redis clock moves forward at once when another server answers with a later time', () => {
  const clock = new RedisClock()
  const redisMs = Date.now()
  clock.heard(redisMs, 1_000, 1_000)
  clock.heard(redisMs + HOUR, 1_500, 1_502)
  expect(lead(clock, redisMs + HOUR, 1_501)).toBeCloseTo(0, 2)
})
