/**
 * The soak: rounds with consecutive seeds until the time is over, then a report. Code 0: every promise was kept.
 *
 *   npm run soak -- --minutes 30 --seed 7
 *   npm run soak -- --seed 7 --rounds 1 --round-seconds 40     one round again
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { number } from '../kit/number-option.ts'
import { FAULTS, type FaultKind } from './fault-plan.ts'
import { drawPlan } from './plan.ts'
import { Progress } from './progress.ts'
import { reportOf, scheduleOf, storiesOf, summaryOf, type Summary } from './report.ts'
import { runRound, type RoundResult } from './round.ts'

interface Options {
  readonly minutes: number
  readonly seed: number
  readonly rounds?: number
  readonly roundSeconds: number
  readonly faults?: readonly FaultKind[]
  readonly keep?: string
}

const SEED_MAX = 2 ** 31
const {
  minutes,
  seed: first,
  rounds = Infinity,
  roundSeconds,
  faults,
  keep,
} = new Command('npm run soak --')
  .description('three nodes under faults drawn from a seed, and a checker of every promise')
  .option(
    '--minutes <count>',
    'begin no round after so long',
    number({ min: 0.1, max: 100_000 }),
    5,
  )
  .option(
    '--seed <number>',
    'of the first round; each further round has the next one',
    number({ min: 0, max: SEED_MAX, whole: true }),
    Date.now() % 1_000_000,
  )
  .option('--rounds <count>', 'instead of a time', number({ min: 1, max: 1e6, whole: true }))
  .option(
    '--round-seconds <count>',
    'how long a round injects faults',
    number({ min: 1, max: 86_400 }),
    40,
  )
  .option('--faults <kinds>', `only these, with commas: ${Object.keys(FAULTS).join(' ')}`, kindsOf)
  .option('--keep <directory>', 'history and node logs of broken rounds go there, as JSON lines')
  .parse()
  .opts<Options>()
process.exitCode = await soak()

async function soak(): Promise<number> {
  const endsAt = performance.now() + minutes * 60_000
  const summaries: Summary[] = []
  for (let round = 0; round < rounds; round += 1) {
    if (rounds === Infinity && round > 0 && performance.now() >= endsAt) break
    summaries.push(await oneRound(first + round))
  }
  console.log(reportOf(summaries).join('\n'))
  return summaries.every(({ violations }) => Object.keys(violations).length === 0) ? 0 : 1
}

async function oneRound(seed: number): Promise<Summary> {
  const kinds = faults === undefined ? {} : { kinds: faults }
  const plan = drawPlan({ seed, seconds: roundSeconds, ...kinds })
  console.log(`seed ${seed}, ${plan.faults.length} faults in ${roundSeconds} s`)
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
  if (broken.length > 0) {
    console.log(`again: ${summary.replay}`)
    if (keep !== undefined) keepRound(keep, result)
  }
  return summary
}

function keepRound(directory: string, { plan, lines, logs, violations }: RoundResult): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, entries] of Object.entries({ violations, history: lines, logs })) {
    const file = join(directory, `seed-${plan.seed}.${name}.jsonl`)
    writeFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
    console.log(`kept: ${file}`)
  }
}

function kindsOf(text: string): readonly FaultKind[] {
  const kinds = text.split(',')
  const unknown = kinds.find((kind) => !(kind in FAULTS))
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no fault "${unknown}".`)
  return kinds as FaultKind[]
}
