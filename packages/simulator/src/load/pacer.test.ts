import { expect, test } from 'vitest'
import { nowUs } from './clock.ts'
import { Pacer } from './pacer.ts'

const blockUs = (durationUs: number): void => {
  const endUs = nowUs() + durationUs
  while (nowUs() < endUs) {
    // The loop is held up on purpose.
  }
}

test('a pacer whose event loop was blocked runs all due work and loses none', async () => {
  const startUs = nowUs()
  const periodUs = 1000
  const finished = Promise.withResolvers<void>()
  const lagsUs: number[] = []
  const pacer = new Pacer((now) => {
    while (startUs + lagsUs.length * periodUs <= now) {
      lagsUs.push(now - (startUs + lagsUs.length * periodUs))
      if (lagsUs.length === 20) blockUs(30_000)
      if (lagsUs.length >= 100) {
        finished.resolve()
        return Number.POSITIVE_INFINITY
      }
    }
    return startUs + lagsUs.length * periodUs
  })
  pacer.start()
  await finished.promise
  // A message behind the twentieth was meant to leave during the hold-up and left after it; which
  // one depends on what else held up this process. The times of the last ones did not move.
  expect(Math.max(...lagsUs)).toBeGreaterThan(20_000)
  expect(nowUs() - startUs).toBeGreaterThanOrEqual(99 * periodUs)
  expect(lagsUs).toHaveLength(100)
})

test('a stopped pacer calls no more', async () => {
  let calls = 0
  const pacer = new Pacer((now) => {
    calls += 1
    return now + 1000
  })
  pacer.start()
  pacer.stop()
  // A timer set later for a later time has run: the pacer's would have run before it.
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(calls).toBe(1)
})
