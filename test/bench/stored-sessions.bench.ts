/*
 * The filters of stored sessions: what a million sessions of three filters take, and what one call costs
 * beside them.
 *
 *   node --conditions=source test/bench/stored-sessions.bench.ts
 *
 * Two filters of each session are exact and its own, one is a wildcard that a hundred sessions share. Memory
 * is what the process has more of after all garbage has been collected: resident, and heap plus external.
 * Times are CPU of the best of three runs. Texts are decoded from bytes, as they are in service.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SharedTable } from '../../packages/broker/src/shared/shared-table.ts'
import { StoredFilters } from '../../packages/broker/src/route/stored-filters.ts'

const SESSIONS = 1_000_000
const SHARED_BY = 100
const CALLS = 100_000
const MIB = 2 ** 20
const GOAL_MIB = 300

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
let sink = 0

/** What text the process would have got from the wire. */
function received(text: string): string {
  return Buffer.from(text).toString('latin1')
}

const seven = (index: number): string => `${index}`.padStart(7, '0')
const clientOf = (index: number): string => received(`client-id${seven(index)}`)
const groupOf = (index: number): string => seven(Math.floor(index / SHARED_BY))
const commandOf = (index: number): string => received(`devices/${seven(index)}/commands`)
const updateOf = (index: number): string => received(`devices/${seven(index)}/firmware`)
const wildcardOf = (index: number): string => received(`groups/${groupOf(index)}/+/notices`)

function add(table: StoredFilters, index: number): void {
  const clientId = clientOf(index)
  table.set(clientId, commandOf(index), 1)
  table.set(clientId, updateOf(index), 1)
  table.set(clientId, wildcardOf(index), 2)
}

function memory(): { residentBytes: number; ownBytes: number } {
  for (let round = 0; round < 5; round++) collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { residentBytes: rss, ownBytes: heapUsed + external }
}

/** CPU of this thread: the machine may be busy with other things as well. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/** µs of CPU per call in the best of three runs, after one that warms up. */
function usPerCall(calls: number, call: (index: number) => void): number {
  const run = (): number => {
    const start = cpuMs()
    for (let index = 0; index < calls; index++) call(index)
    return ((cpuMs() - start) * 1_000) / calls
  }
  run()
  return Math.min(run(), run(), run())
}

function print(title: string, result: string): void {
  console.log(`${title.padEnd(62)} ${result}`)
}

/** What the router does for a message of QoS 1. */
function queues(table: StoredFilters, topic: string): void {
  sink += table.queues(topic, 1).length
}

/** Runs first, so that what is resident is not what something else has left behind. */
function benchMemory(): StoredFilters {
  // Grows the young generation to its size under this number of texts, without a table to keep them in.
  const warm = new StoredFilters(64, new SharedTable(64))
  for (let index = 0; index < SESSIONS; index++) {
    add(warm, index)
    warm.clear(clientOf(index))
  }
  const before = memory()
  const startMs = cpuMs()
  const table = new StoredFilters(64, new SharedTable(64))
  for (let index = 0; index < SESSIONS; index++) add(table, index)
  const tookMs = cpuMs() - startMs
  const after = memory()
  const resident = (after.residentBytes - before.residentBytes) / MIB
  const own = (after.ownBytes - before.ownBytes) / MIB
  print(
    `${SESSIONS} sessions of three filters`,
    `resident +${resident.toFixed(0)}, heap and external +${own.toFixed(0)} MiB (goal ${GOAL_MIB})`,
  )
  print('  adding all of them', `${tookMs.toFixed(0)} ms`)
  return table
}

function benchTimes(table: StoredFilters): void {
  // Far apart, and more than any cache keeps.
  const scattered = (index: number): number => (index * 7_919) % SESSIONS
  const match = (title: string, topicOf: (index: number) => string): void => {
    const us = usPerCall(CALLS, (index) => queues(table, topicOf(index)))
    print(title, `${us.toFixed(3)} µs`)
  }
  match('match: nobody', (index) => received(`devices/${seven(scattered(index))}/nothing`))
  match('match: one session', (index) => commandOf(scattered(index)))
  match(`match: ${SHARED_BY} sessions`, (index) =>
    received(`groups/${groupOf(scattered(index))}/x/notices`),
  )
  match('match: one session, cached', (index) => commandOf(index % 1_000))
  match(`match: ${SHARED_BY} sessions, cached`, (index) =>
    received(`groups/${groupOf((index % 1_000) * SHARED_BY)}/x/notices`),
  )
  const change = usPerCall(CALLS, (index) => {
    const clientId = clientOf(scattered(index))
    table.delete(clientId, commandOf(scattered(index)))
    table.set(clientId, commandOf(scattered(index)), 1)
  })
  print('one delete and one set, exact', `${change.toFixed(3)} µs`)
  const shared = usPerCall(CALLS, (index) => {
    const clientId = clientOf(scattered(index))
    table.delete(clientId, wildcardOf(scattered(index)))
    table.set(clientId, wildcardOf(scattered(index)), 1)
  })
  print('one delete and one set, shared wildcard', `${shared.toFixed(3)} µs`)
  const whole = usPerCall(CALLS, (index) => {
    table.clear(clientOf(scattered(index)))
    add(table, scattered(index))
  })
  print('one session ends and another begins', `${whole.toFixed(3)} µs`)
}

console.log(`Node ${process.version}`)
benchTimes(benchMemory())
if (sink === 0) process.exitCode = 1
