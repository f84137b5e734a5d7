import type { StoredSubscription } from '@breakwater/store'
import { expect, test } from 'vitest'
import { ReplayQueue } from './replay-queue.ts'

function setUp() {
  const runs: { filters: string[]; live: ReadonlySet<string>; done: () => void }[] = []
  const ended: ReadonlySet<string>[] = []
  const queue = new ReplayQueue({
    run: (subscriptions, live) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const filters = subscriptions.map(({ filter, qos }) => `${filter} ${qos}`)
      runs.push({ filters, live, done: resolve })
      return promise
    },
    ended: (live) => ended.push(live),
  })
  return { queue, runs, ended }
}

const at = (filter: string, qos: 0 | 1 | 2 = 1): StoredSubscription => ({ filter, qos })

test('retained replays run one after the other, and each knows the topics that were sent live since its SUBSCRIBE', async () => {
  const { queue, runs, ended } = setUp()
  const lives = [new Set<string>(), new Set<string>()] as const
  queue.add([at('a'), at('b', 2)], lives[0])
  queue.add([at('c')], lives[1])
  expect(runs.map(({ filters }) => filters)).toEqual([['a 1', 'b 2']])
  runs[0]?.done()
  await expect.poll(() => runs.length).toBe(2)
  expect(runs[1]?.live).toBe(lives[1])
  expect(ended).toEqual([lives[0]])
  runs[1]?.done()
  await expect.poll(() => ended.length).toBe(2)
})

test('a filter that is subscribed to a thousand times during a retained replay is replayed a bounded number of times', async () => {
  const { queue, runs, ended } = setUp()
  for (let count = 0; count < 1_000; count += 1) queue.add([at('#', 0)], new Set())
  queue.add([at('#', 2), at('z')], new Set())
  for (let count = 0; count < runs.length; count += 1) {
    runs[count]?.done()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(runs).toHaveLength(9)
  expect(runs.at(-1)?.filters).toEqual(['# 2', 'z 1'])
  await expect.poll(() => ended.length).toBe(1_001)
})

test('a retained replay without messages ends at once', () => {
  const { queue, runs, ended } = setUp()
  queue.add([], new Set())
  expect([runs.length, ended.length]).toEqual([0, 1])
})
