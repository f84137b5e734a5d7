/**
 * `npm run bench:storm`: a node with a third of the devices is killed, once with admission as it is and once
 * without; docs/STORMS.md has a committed run. `-- --devices 3000` for fewer of them.
 *
 * Exit code 1: a message was lost, or not everybody came back.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import type { Limits } from '@breakwater/config'
import { Command, Option } from 'commander'
import { number } from '../../kit/number-option.ts'
import { layOut } from '../result-file.ts'
import type { CrowdReport } from './crowd.ts'
import { drawStorms } from './figure.ts'
import { runStorm, type StormReport } from './storm.ts'
import { stormTable } from './table.ts'

/** As if there were no admission: everything begins at once. */
const WITHOUT: Partial<Limits> = {
  beginsPerTurnMax: 10_000_000,
  handshakesMax: 10_000_000,
  unansweredMax: 10_000_000,
  heldMax: 10_000_000,
  heldTimeoutMs: 600_000,
  loopDelayMaxMs: 600_000,
}
const PATIENCE_MS = 180_000

interface Options {
  readonly devices: number
  readonly rate?: number
  readonly calm: number
  readonly out?: string
  readonly only?: string
}

const { devices, rate, calm, out, only } = new Command('npm run bench:storm --')
  .description('kill one of three nodes with thousands of devices, with and without admission')
  .option('--devices <count>', 'on all nodes', number({ min: 3, max: 50_000, whole: true }), 10_000)
  .option(
    '--rate <messages>',
    'a second, of all devices (default: a tenth of them)',
    number({ min: 1, max: 1e6 }),
  )
  .option('--calm <seconds>', 'before the kill', number({ min: 1, max: 3_600 }), 10)
  .option('--out <file>', 'where the result goes as JSON, and storm.svg beside it')
  .addOption(new Option('--only <run>', 'one of the two').choices(['admission', 'none']))
  .parse()
  .opts<Options>()

async function run(name: string, limits: Partial<Limits>): Promise<StormReport | undefined> {
  if (only !== undefined && only !== name) return undefined
  return await runStorm({
    devices,
    ratePerSecond: rate ?? devices / 10,
    calmMs: calm * 1_000,
    limits,
    patienceMs: PATIENCE_MS,
    onProgress: (line) => console.log(`${name}: ${line}`),
  })
}

/** Moments as rows: seconds since the kill, ready, deliveries, p99 and slowest in ms. */
function compact(report: StormReport): object {
  const rows = ({ moments, ...books }: CrowdReport): object => ({
    ...books,
    moments: moments.map(({ atUs, ready, deliveries, p99Ms, maxMs }) => [
      Math.round((atUs - report.killedAtUs) / 10_000) / 100,
      ready,
      deliveries,
      Math.round(p99Ms * 10) / 10,
      Math.round(maxMs * 10) / 10,
    ]),
  })
  const { stayed, displacedBooks } = report
  return { ...report, stayed: rows(stayed), displacedBooks: rows(displacedBooks) }
}

const loadBefore = loadavg()
const runs: Record<string, StormReport> = {}
for (const [name, limits] of [
  ['admission', {}],
  ['none', WITHOUT],
] as const) {
  const report = await run(name, limits)
  if (report !== undefined) runs[name] = report
}
const machine = {
  cores: availableParallelism(),
  cpu: cpus()[0]?.model,
  node: process.version,
  at: new Date().toISOString(),
  loadBefore,
}
console.log(stormTable(runs))
if (out !== undefined) keep(out)
const wrong = Object.entries(runs).flatMap(([name, { stayed, displacedBooks, backMs }]) => [
  ...(stayed.lost + displacedBooks.lost > 0 ? [`${name}: messages were lost`] : []),
  ...(backMs.all === undefined ? [`${name}: not everybody came back`] : []),
])
for (const line of wrong) console.error(`storm: ${line}`)
process.exitCode = wrong.length > 0 ? 1 : 0

function keep(file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  const kept = Object.fromEntries(Object.entries(runs).map(([name, one]) => [name, compact(one)]))
  const plain = JSON.parse(JSON.stringify({ machine, runs: kept })) as unknown
  writeFileSync(file, `${layOut(plain, '')}\n`)
  writeFileSync(join(dirname(file), 'storm.svg'), drawStorms(runs))
  console.log(`written to ${file}`)
}
