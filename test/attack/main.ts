/**
 * `npm run attack`: every attack on a node with the heap of the chart, with a bystander beside it.
 *
 *   npm run attack -- --case "denied filters" --rounds 20
 */
import { randomInt } from 'node:crypto'
import { Command } from 'commander'
import { number } from '../kit/number-option.ts'
import type { AttackCase } from './attack-case.ts'
import { quietOf, runAttack, type Quiet } from './attack-run.ts'
import { ATTACKS } from './cases.ts'
import { headings, rowOf, tableOf } from './report.ts'
import { startScene, type SceneName } from './scene.ts'

const options = new Command('npm run attack --')
  .description('what one client may try on a node, and what it costs everybody else')
  .option('--case <text>', 'only those with this in their name')
  .option('--rounds <count>', 'of each case', number({ min: 1, max: 100_000, whole: true }), 20)
  .option('--minutes <count>', 'begin no case after so long', number({ min: 0.1, max: 10_000 }))
  .option(
    '--seed <number>',
    'of all that is drawn',
    number({ min: 0, max: 2 ** 31, whole: true }),
    randomInt(2 ** 31),
  )
  .parse()
  .opts<{ case?: string; rounds: number; minutes?: number; seed: number }>()

const wanted = ATTACKS.filter(({ name }) => name.includes(options.case ?? ''))
if (wanted.length === 0) {
  console.error(`no case has "${options.case}" in its name; there are:`)
  for (const { name } of ATTACKS) console.error(`  ${name}`)
  process.exitCode = 1
} else process.exitCode = await attack(wanted)

async function attack(cases: readonly AttackCase[]): Promise<number> {
  const endsAt = performance.now() + (options.minutes ?? Infinity) * 60_000
  const rows: (readonly string[])[] = []
  console.log(
    `${cases.length} cases, ${options.rounds} rounds of each, seed ${options.seed}\n${headings.join(' | ')}`,
  )
  let isSound = true
  for (const name of new Set(cases.map(({ scene }) => scene)))
    for (const each of cases.filter(({ scene }) => scene === name)) {
      if (performance.now() >= endsAt) break
      const row = await oneCase(each, name)
      rows.push(row.cells)
      isSound &&= row.isSound
      console.log(row.cells.join(' | '))
    }
  console.log(`\n${tableOf([headings, ...rows]).join('\n')}`)
  return isSound ? 0 : 1
}

/** Each with nodes of its own: one that does not survive takes no other case with it. */
async function oneCase(
  attackCase: AttackCase,
  name: SceneName,
): Promise<{ cells: readonly string[]; isSound: boolean }> {
  let quiet: Quiet | undefined
  try {
    await using scene = await startScene(name, options.seed)
    quiet = await quietOf(scene)
    const result = await runAttack(attackCase, scene, {
      quiet,
      roundsMax: options.rounds,
      enoughCpuMs: Infinity,
    })
    return rowOf(attackCase, quiet, result)
  } catch (error) {
    return rowOf(attackCase, quiet, error as Error)
  }
}
