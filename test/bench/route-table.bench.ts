/*
 * The route table and the index of retained topics: what a million entries take, and what one call
 * costs beside them.
 *
 *   node --conditions=source test/bench/route-table.bench.ts
 *
 * Memory is what the process has more of after all garbage has been collected: resident, and heap
 * plus external. Times are of the fastest of five runs, because the machine may be busy with other
 * things as well. Texts are decoded from bytes, as they are in service, so that no string hash is
 * known beforehand and nothing else holds on to them.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RetainedIndex } from '../../packages/broker/src/retained/retained-index.ts'
import { RouteTable } from '@breakwater/matching'

const MILLION = 1_000_000
const MIB = 2 ** 20

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
let sink = 0

/** What text the process would have got from the wire. */
function received(text: string): string {
  return Buffer.from(text).toString('latin1')
}

interface Memory {
  readonly residentBytes: number
  readonly ownBytes: number
}

function memory(): Memory {
  for (let round = 0; round < 5; round++) collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { residentBytes: rss, ownBytes: heapUsed + external }
}

function since(before: Memory): string {
  const now = memory()
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`
  const resident = mib(now.residentBytes - before.residentBytes)
  return `resident +${resident}, heap and external +${mib(now.ownBytes - before.ownBytes)}`
}

/** µs per call in the fastest of five runs, after one that warms up. */
function usPerCall(calls: number, call: (index: number) => void): number {
  const run = (): number => {
    const startMs = performance.now()
    for (let index = 0; index < calls; index++) call(index)
    return ((performance.now() - startMs) * 1_000) / calls
  }
  run()
  return Math.min(run(), run(), run(), run(), run())
}

function elapsedMs(call: () => void): string {
  const startMs = performance.now()
  call()
  return `${(performance.now() - startMs).toFixed(1)} ms`
}

function print(title: string, result: string): void {
  console.log(`${title.padEnd(62)} ${result}`)
}

const us = (value: number): string => `${value.toFixed(3)} µs`

/** Runs first, so that what is resident is not what something else has left behind. */
function benchRouteMemory(): void {
  // Grows the young generation to its size under this number of texts, without a table to keep them in.
  const warm = new RouteTable()
  for (let index = 0; index < MILLION; index++) {
    const filter = received(`warm/${index}/data`)
    warm.add('node-b', filter)
    warm.delete('node-b', filter)
  }
  const before = memory()
  const table = new RouteTable()
  let longestMs = 0
  const took = elapsedMs(() => {
    for (let index = 0; index < MILLION; index++) {
      const filter = received(`dev/${index}/data`)
      const startMs = performance.now()
      table.add('node-b', filter)
      longestMs = Math.max(longestMs, performance.now() - startMs)
    }
  })
  print('route table: 1,000,000 filters of one other node', since(before))
  print('  adding all of them, and the longest add', `${took}, ${longestMs.toFixed(1)} ms`)
  for (let index = 0; index < MILLION; index += 2) table.add('node-c', `dev/${index}/data`)
  print('  a second node with half of them: with it', since(before))
  print(
    '  the second node is gone',
    elapsedMs(() => table.clear('node-c')),
  )
  print(
    '  the first node is gone',
    elapsedMs(() => table.clear('node-b')),
  )
  print('  what is left', since(before))
  sink += table.size
}

function benchRouteTimes(): void {
  const table = new RouteTable({ cachedTopicsMax: 0 })
  for (let index = 0; index < MILLION; index++) {
    const filter = [`dev/${index}/+`, `dev/${index}/#`, `+/${index}/data`, `dev/+/${index}`]
    table.add('node-b', filter[index & 3]!)
  }
  const topicsOf = (text: (index: number) => string): Buffer[] =>
    Array.from({ length: 4_000 }, (_, index) => Buffer.from(text(index)))
  const time = (of: RouteTable, topics: readonly Buffer[]): string =>
    us(
      usPerCall(400_000, (index) => {
        sink += of.match(topics[index % topics.length]!.toString('latin1')).length
      }),
    )
  const missing = topicsOf((index) => `dev/${index + MILLION}/data`)
  const decoding = usPerCall(400_000, (index) => {
    sink += missing[index % missing.length]!.toString('latin1').length
  })
  print('decoding a topic, which is in the times below', us(decoding))
  print('match, 4 shapes, 1,000,000 filters, none matches', time(table, missing))
  const matching = topicsOf((index) => `dev/${index * 4 * 50}/data`)
  print('match, 4 shapes, 1,000,000 filters, one matches', time(table, matching))
  table.add('node-c', '+/+/data')
  print('match, 5 shapes, two nodes', time(table, matching))
  const cached = new RouteTable()
  cached.add('node-b', 'dev/+/data')
  print('match, cached', time(cached, matching))
  const change = usPerCall(400_000, (index) => {
    table.add('node-b', `other/${index % 1_000}/+`)
    table.delete('node-b', `other/${index % 1_000}/+`)
  })
  print('one add and one delete, 1,000,000 filters', us(change))
}

function benchRetainedMemory(title: string, topicOf: (index: number) => string): void {
  const before = memory()
  const index = new RetainedIndex()
  let longestMs = 0
  for (let at = 0; at < MILLION; at++) {
    const topic = received(topicOf(at))
    const startMs = performance.now()
    index.add(topic)
    longestMs = Math.max(longestMs, performance.now() - startMs)
  }
  print(`retained index: 1,000,000 topics ${title}`, since(before))
  let found = 0
  const walked = elapsedMs(() => {
    for (const topic of index.match('#')) found += Math.sign(topic.length)
  })
  print('  the longest add; walking all', `${longestMs.toFixed(1)} ms; ${walked}`)
  sink += found + index.size
}

function benchRetainedTimes(): void {
  const index = new RetainedIndex()
  for (let at = 0; at < 100_000; at++) {
    index.add(received(`site/${Math.floor(at / 1_000)}/dev/${at % 1_000}/state/${at % 10}`))
  }
  for (let at = 0; at < 10; at++) index.add(received(`wide/${at * 7}/rare/value`))
  for (let at = 0; at < 10; at++) index.add(received(`deep/a/b/c/${at}`))
  const time = (filter: string, calls: number): void => {
    let found = 0
    const result = usPerCall(calls, () => {
      found = 0
      for (const topic of index.match(filter)) found += Math.sign(topic.length)
    })
    print(`  ${filter}: ${found} found`, us(result))
  }
  print('retained index: match among 100,000 topics', '')
  time('deep/a/b/c/+', 10_000)
  time('deep/#', 10_000)
  time('wide/+/rare/value', 10_000)
  time('+/+/rare/value', 1_000)
  time('+/7/dev/500/#', 1_000)
  time('site/5/dev/+/state/3', 100)
  time('+/+/+/+/none', 10)
  time('#', 5)
  const flat = new RetainedIndex()
  for (let at = 0; at < 100_000; at++) flat.add(received(`dev/${at}`))
  const change = usPerCall(100_000, () => {
    flat.delete('dev/5')
    flat.add('dev/5')
  })
  print('  one delete and one add of the same of 100,000 siblings', us(change))
}

console.log(`Node ${process.version}`)
benchRouteMemory()
benchRouteTimes()
benchRetainedMemory('dev/N/data', (index) => `dev/${index}/data`)
benchRetainedMemory(
  'site/N/room/N/sensor/N/temperature',
  (index) =>
    `site/${index % 100}/room/${Math.floor(index / 100) % 1_000}/sensor/${Math.floor(index / 100_000)}/temperature`,
)
benchRetainedMemory(
  'tenant/UUID/status',
  (index) => `tenant/6f9619ff-8b86-d011-b42d-${index.toString(16).padStart(12, '0')}/status`,
)
benchRetainedTimes()
if (sink === 0) process.exitCode = 1
