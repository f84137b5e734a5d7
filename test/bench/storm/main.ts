/**
 * `npm run bench:storm`: a node with a third of the devices is killed, once with admission as it is and once
 * without; docs/STORMS.md has a committed run. `-- --devices 3000` for fewer of them.
 *
 * Exit code 1: a message was lost, or not everybody came back.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Limits } from '@breakwater/config'
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
const RESULTS = fileURLToPath(new URL('../results/storm.json', import.meta.url))
const PATIENCE_MS = 180_000

const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: '10000' },
    rate: { type: 'string' },
    calm: { type: 'string', default: '10' },
    out: { type: 'string', default: RESULTS },
    only: { type: 'string' },
  },
})
const devices = Number(values.devices)

async function run(name: string, limits: Partial<Limits>): Promise<StormReport | undefined> {
  if (values.only !== undefined && values.only !== name) return undefined
  const report = await runStorm({
    devices,
    ratePerSecond: Number(values.rate ?? devices / 10),
    calmMs: Number(values.calm) * 1_000,
    limits,
    patienceMs: PATIENCE_MS,
    onProgress: (line) => console.log(`${name}: ${line}`),
  })
  return report
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
mkdirSync(dirname(values.out), { recursive: true })
const kept = Object.fromEntries(Object.entries(runs).map(([name, run]) => [name, compact(run)]))
writeFileSync(
  values.out,
  `${layOut(JSON.parse(JSON.stringify({ machine, runs: kept })) as unknown, '')}\n`,
)
writeFileSync(join(dirname(values.out), 'storm.svg'), drawStorms(runs))
console.log(stormTable(runs))
console.log(`written to ${values.out}`)
const wrong = Object.entries(runs).flatMap(([name, { stayed, displacedBooks, backMs }]) => [
  ...(stayed.lost + displacedBooks.lost > 0 ? [`${name}: messages were lost`] : []),
  ...(backMs.all === undefined ? [`${name}: not everybody came back`] : []),
])
for (const line of wrong) console.error(`storm: ${line}`)
process.exitCode = wrong.length > 0 ? 1 : 0
