/**
 * The soak: rounds with consecutive seeds until the time is over, then a report. Code 0: every promise was kept.
 *
 *   npm run soak -- --minutes 30 --seed 7
 *   npm run soak -- --seed 7 --rounds 1 --round-seconds 40     one round again
 */
import { parseArgs } from 'node:util'
import { FAULTS, type FaultKind } from './fault-plan.ts'
import { drawPlan } from './plan.ts'
import { Progress } from './progress.ts'
import { reportOf, scheduleOf, storiesOf, summaryOf, type Summary } from './report.ts'
import { runRound } from './round.ts'

const OPTIONS = {
  minutes: { type: 'string', default: '5' },
  seed: { type: 'string' },
  rounds: { type: 'string' },
  'round-seconds': { type: 'string', default: '40' },
  faults: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

const HELP = `npm run soak -- [options]
  --minutes N         begin no round after so long (default 5)
  --seed S            of the first round; each further round has the next one (default: drawn)
  --rounds N          instead of a time
  --round-seconds N   how long a round injects faults (default 40)
  --faults A,B        only these: ${Object.keys(FAULTS).join(' ')}`

const { values } = parseArgs({ options: OPTIONS })
if (values.help) console.log(HELP)
else process.exitCode = await soak()

async function soak(): Promise<number> {
  const first = numberOf('seed', values.seed ?? String(Date.now() % 1_000_000))
  const rounds = values.rounds === undefined ? Infinity : numberOf('rounds', values.rounds)
  const endsAt = performance.now() + numberOf('minutes', values.minutes) * 60_000
  const summaries: Summary[] = []
  for (let round = 0; round < rounds; round += 1) {
    if (rounds === Infinity && round > 0 && performance.now() >= endsAt) break
    summaries.push(await oneRound(first + round))
  }
  console.log(reportOf(summaries).join('\n'))
  return summaries.every(({ violations }) => Object.keys(violations).length === 0) ? 0 : 1
}

async function oneRound(seed: number): Promise<Summary> {
  const kinds = kindsOf(values.faults)
  const seconds = numberOf('round-seconds', values['round-seconds'])
  const plan = drawPlan({ seed, seconds, ...(kinds === undefined ? {} : { kinds }) })
  console.log(`seed ${seed}, ${plan.faults.length} faults in ${seconds} s`)
  console.log(scheduleOf({ plan }).join('\n'))
  const progress = new Progress(seed)
  const result = await runRound({
    plan,
    onPhase: (phase, lines) => progress.phase(phase, lines),
  })
  progress.end()
  const summary = summaryOf(result)
  const broken = Object.entries(summary.violations).map(([id, count]) => `${id} ${count}`)
  const verdict = broken.length === 0 ? 'all kept' : `BROKEN: ${broken.join(', ')}`
  console.log(`seed ${seed}: ${verdict}, ${result.lines.length} history lines`)
  for (const line of storiesOf(result)) console.log(line)
  if (broken.length > 0) console.log(`again: ${summary.replay}`)
  return summary
}

function numberOf(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} ${text}: not a number`)
  return value
}

function kindsOf(text: string | undefined): FaultKind[] | undefined {
  const kinds = text?.split(',')
  const unknown = kinds?.find((kind) => !(kind in FAULTS))
  if (unknown !== undefined) throw new Error(`--faults ${unknown}: unknown`)
  return kinds as FaultKind[] | undefined
}
