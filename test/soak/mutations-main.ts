/**
 * `npm run soak:mutations`: every mistake of mutations.ts, or some, each in a build of its own. Code 0: all were caught.
 */
import { Command, InvalidArgumentError } from 'commander'
import { runMutation } from './mutation-run.ts'
import { MUTATIONS, type Mutation } from './mutations.ts'
import { storiesOf } from './report.ts'

const ROUNDS = 4
const SECONDS = 20
const SEED = 100
const STORY_LINES = 25

const { list, only } = new Command('npm run soak:mutations --')
  .description('breaks the broker on purpose, once per mistake, and wants the soak to find each')
  .option('--only <text>', 'mistakes whose name holds it', named, MUTATIONS)
  .option('--list', 'their names, and nothing else')
  .parse()
  .opts<{ list?: boolean; only: readonly Mutation[] }>()

process.exitCode = 0
if (list === true) for (const { name } of only) console.log(name)
else for (const mutation of only) await run(mutation)

async function run(mutation: Mutation): Promise<void> {
  const { caught, round } = await runMutation(mutation, {
    seed: SEED,
    rounds: ROUNDS,
    seconds: SECONDS,
  })
  const found =
    [...new Set(round.violations.map(({ guarantee }) => guarantee))].join(' ') || 'nothing'
  const { seed } = round.plan
  console.log(
    `${caught ? 'caught' : 'MISSED'} by ${mutation.breaks}: ${mutation.name} (seed ${seed}: ${found})`,
  )
  if (caught) {
    const first = round.violations.filter(({ guarantee }) => guarantee === mutation.breaks)
    for (const line of storiesOf({ ...round, violations: first }).slice(0, STORY_LINES))
      console.log(`    ${line}`)
  } else process.exitCode = 1
}

function named(text: string): readonly Mutation[] {
  const found = MUTATIONS.filter(({ name }) => name.includes(text))
  if (found.length === 0) throw new InvalidArgumentError('There is no such mistake; see --list.')
  return found
}
