/*
 * The forwarding table beside qlobber 8, in one process:
 *
 *   node --conditions=source test/bench/forwarding-table.bench.ts
 *
 * Topics are decoded from bytes for every match, as they are in service, so that no string hash is
 * known beforehand; the first line of the first table says what that alone costs. Numbers are ns per
 * call, the fastest of five runs, because the machine may be busy with other things as well.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Contestant } from './topic-matchers.ts'
import { breakwater, newTarget, qlobberDedup, qlobberSub } from './topic-matchers.ts'

const CONTESTANTS = {
  'table, cached': () => breakwater(10_000),
  'table, cold': () => breakwater(0),
  QlobberSub: qlobberSub,
  QlobberDedup: qlobberDedup,
} as const

let sink = 0

/** ns per call in the fastest of five runs, after one that warms up and finds how many calls fit in one. */
function nsPerCall(call: (index: number) => number): number {
  let calls = 64
  let next = 0
  const run = (): number => {
    const start = process.hrtime.bigint()
    for (let index = 0; index < calls; index++) sink += call(next++)
    return Number(process.hrtime.bigint() - start)
  }
  for (let spent = run(); spent < 4e7; spent = run()) calls *= 2
  return Math.min(run(), run(), run(), run(), run()) / calls
}

function matching(contestant: Contestant, topics: readonly string[]): (index: number) => number {
  const bytes = topics.map((topic) => Buffer.from(topic))
  return (index) => contestant.match(decode(bytes[index % bytes.length]!))
}

function decode(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function print(title: string, columns: readonly string[]): (row: string, cells: string[]) => void {
  console.log(`\n${title}\n\n| | ${columns.join(' | ')} |\n|---|${'---:|'.repeat(columns.length)}`)
  return (row, cells) => console.log(`| ${row} | ${cells.join(' | ')} |`)
}

const ns = (value: number): string => value.toFixed(0)
const names = Object.keys(CONTESTANTS)

/** Filters that match none of the topics below, of four shapes that a probe cannot rule out. */
function otherFilter(index: number): string {
  const id = (index >> 2) + 1_000_000
  return [`dev/${id}/+`, `dev/${id}/#`, `+/${id}/data`, `dev/${id}/data`][index & 3]!
}

const PAIRS = 4_000
const pairTopics = Array.from({ length: PAIRS }, (_, index) => `dev/${index}/data`)

function benchPairs(): void {
  const row = print(
    'Pairs: 4,000 topics, each with one exact filter; other filters of 4 shapes',
    names,
  )
  const bytes = pairTopics.map((topic) => Buffer.from(topic))
  row('decoding the topic alone', [
    ns(nsPerCall((at) => decode(bytes[at % PAIRS]!).length)),
    ...names.slice(1).map(() => ''),
  ])
  const rows = new Map<number, string[]>()
  const wildcardRows = new Map<number, string[]>()
  for (const make of Object.values(CONTESTANTS)) {
    const contestant = make()
    for (const topic of pairTopics) contestant.set(topic, newTarget(), 1)
    let others = 0
    for (const count of [0, 1_000, 10_000, 100_000, 1_000_000]) {
      for (; others < count; others++) contestant.set(otherFilter(others), newTarget(), 1)
      const cells = rows.get(count) ?? []
      rows.set(count, [...cells, ns(nsPerCall(matching(contestant, pairTopics)))])
      if (count === 1_000_000) benchWildcardPairs(contestant, wildcardRows)
    }
  }
  for (const [count, cells] of rows) row(`${count.toLocaleString('en')} other filters`, cells)
  for (const [, cells] of wildcardRows) row('1,000,000; topics matched by two wildcards', cells)
}

/** Topics of which each meets a `+` and a `#` filter among the million. */
function benchWildcardPairs(contestant: Contestant, rows: Map<number, string[]>): void {
  const topics = Array.from({ length: PAIRS }, (_, index) => `dev/${1_000_000 + index * 50}/x`)
  rows.set(0, [...(rows.get(0) ?? []), ns(nsPerCall(matching(contestant, topics)))])
}

function benchFanOut(): void {
  const row = print('Fan-out: one topic, 1,000 targets', names)
  for (const [title, filters] of [
    ['one filter', ['fan/+']],
    ['half through another filter as well', ['fan/+', 'fan/#']],
  ] as const) {
    const cells = Object.values(CONTESTANTS).map((make) => {
      const contestant = make()
      const targets = Array.from({ length: 1_000 }, newTarget)
      for (const [at, filter] of filters.entries()) {
        for (const target of targets.slice(at * 500)) contestant.set(filter, target, 1)
      }
      return ns(nsPerCall(matching(contestant, ['fan/out'])))
    })
    row(title, cells)
  }
}

function benchChanges(): void {
  const columns = ['table, cached', 'QlobberSub', 'QlobberDedup']
  const makers = [CONTESTANTS['table, cached'], qlobberSub, qlobberDedup]
  const row = print('Changes: one set and one delete, 100,000 filters present', columns)
  const contestants = makers.map((make) => {
    const contestant = make()
    for (let index = 0; index < 100_000; index++) {
      contestant.set(otherFilter(index), newTarget(), 1)
      contestant.set('all/+', newTarget(), 1)
    }
    return contestant
  })
  for (const [title, filterOf] of [
    ['exact filter, 1,000 in turn', (index: number) => `dev/${index % 1_000}/data`],
    ['wildcard filter, 1,000 in turn', (index: number) => `dev/${index % 1_000}/+`],
    ['always the same exact filter', () => 'dev/same/data'],
    ['always the same of 100,001 targets of one filter', () => 'all/+'],
  ] as const) {
    const target = newTarget()
    const cells = contestants.map((contestant) =>
      ns(
        nsPerCall((index) => {
          contestant.set(filterOf(index), target, 1)
          contestant.delete(filterOf(index), target)
          return 0
        }),
      ),
    )
    row(title, cells)
  }
}

function benchChurn(): void {
  const row = print(
    'Pairs under churn: one match, and a change of another filter every 10 matches',
    names,
  )
  for (const [title, filterOf] of [
    ['no change', undefined],
    ['exact filters change', (index: number) => `dev/${index % 1_000}x/data`],
    ['wildcard filters change', (index: number) => `dev/${index % 1_000}x/+`],
  ] as const) {
    const cells = Object.values(CONTESTANTS).map((make) => {
      const contestant = make()
      for (const topic of pairTopics) contestant.set(topic, newTarget(), 1)
      for (let index = 0; index < 10_000; index++)
        contestant.set(otherFilter(index), newTarget(), 1)
      const target = newTarget()
      const match = matching(contestant, pairTopics)
      return ns(
        nsPerCall((index) => {
          if (filterOf !== undefined && index % 20 === 0) contestant.set(filterOf(index), target, 1)
          if (filterOf !== undefined && index % 20 === 10) {
            contestant.delete(filterOf(index - 10), target)
          }
          return match(index)
        }),
      )
    })
    row(title, cells)
  }
}

function benchFallback(): void {
  const row = print('The fallback: table without cache, topics of 8 levels', ['ns'])
  const topics = Array.from({ length: 1_000 }, (_, index) => `a/b/c/d/e/f/g/${index}`)
  for (const [title, shapesMax, shapes] of [
    ['1 shape', 64, 1],
    ['16 shapes, none matches', 64, 16],
    ['64 shapes, none matches', 64, 64],
    ['128 shapes, none matches: 64 in the trie', 64, 128],
    ['128 shapes, none matches: all in the trie', 0, 128],
  ] as const) {
    const table = breakwater(0, shapesMax)
    for (let mask = 0; mask < shapes; mask++) {
      const levels = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((l, at) =>
        (mask >> at) & 1 ? '+' : l,
      )
      for (let other = 0; other < 100; other++) {
        table.set(
          `${levels.join('/')}/x${other}/#`.replace(/^a/u, mask === 0 ? '+' : 'a'),
          newTarget(),
          0,
        )
      }
    }
    row(title, [ns(nsPerCall(matching(table, topics)))])
  }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function bytesInUse(): number {
  for (let round = 0; round < 3; round++) collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Bytes per filter that a million filters take, and the longest that one set kept the loop, in ms. */
function memoryOf(
  make: () => Contestant,
  filterOf: (index: number) => string,
  targetsEach: number,
): [string, string] {
  const filters = Array.from({ length: 1_000_000 }, (_, at) => decode(Buffer.from(filterOf(at))))
  const targets = Array.from({ length: 1_000 }, newTarget)
  const contestant = make()
  const before = bytesInUse()
  let longestMs = 0
  for (let each = 0; each < targetsEach; each++) {
    for (const [at, filter] of filters.entries()) {
      const start = performance.now()
      contestant.set(filter, targets[(at + each) % targets.length]!, 1)
      longestMs = Math.max(longestMs, performance.now() - start)
    }
  }
  const bytes = (bytesInUse() - before) / filters.length
  sink += contestant.match(filters[0]!)
  return [bytes.toFixed(0), longestMs.toFixed(0)]
}

function benchMemory(): void {
  const row = print('Memory of 1,000,000 filters (texts and targets not counted)', [
    'table, bytes per filter',
    'table, longest set, ms',
    'QlobberSub, bytes per filter',
    'QlobberSub, longest set, ms',
  ])
  for (const [title, filterOf, targetsEach] of [
    ['exact: `dev/N/data`', (index: number) => `dev/${index}/data`, 1],
    ['one shape: `dev/N/+`', (index: number) => `dev/${index}/+`, 1],
    ['one shape, two targets each', (index: number) => `dev/${index}/+`, 2],
  ] as const) {
    const table = memoryOf(() => breakwater(10_000), filterOf, targetsEach)
    row(title, [...table, ...memoryOf(qlobberSub, filterOf, targetsEach)])
  }
}

console.log(`Node ${process.version}`)
const start = performance.now()
benchPairs()
benchFanOut()
benchChanges()
benchChurn()
benchFallback()
benchMemory()
console.log(`\n${((performance.now() - start) / 1000).toFixed(0)} s, ${sink > 0 ? 'done' : ''}`)
