/** `npm run soak:mutations`: every mistake of mutations.ts, each in a build of its own. Code 0: all were caught. */
import { runMutation } from './mutation-run.ts'
import { MUTATIONS } from './mutations.ts'
import { storiesOf } from './report.ts'

const ROUNDS = 4
const SECONDS = 20
const SEED = 100
const STORY_LINES = 25

process.exitCode = 0
for (const mutation of MUTATIONS) {
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
