/** What is typed behind `npm run bench --`. */
import { parseArgs } from 'node:util'
import { IDLE_NAME, IDLE_PLAN, QUICK_IDLE_PLAN, type IdlePlan } from './idle.ts'
import type { Timing } from './sample.ts'
import { SCENARIOS, type Scenario } from './scenario.ts'

export interface Invocation {
  readonly quick: boolean
  readonly scenarios: readonly Scenario[]
  /** Undefined: the idle connections are not asked for. */
  readonly idle: IdlePlan | undefined
  readonly timing: Timing
  readonly pinned: boolean
  readonly outFile: string | undefined
  readonly profileFolder: string | undefined
}

export class UsageError extends Error {}

export const USAGE = `npm run bench -- [options]
  --only NAME[,NAME]   these scenarios, or all whose names begin so (--list shows them)
  --quick              few scenarios, one short round: does everything work? under a minute
  --rounds N           rounds per scenario (3)
  --seconds N          measured per sample (1.2; 5/3 of it where the rate is fixed)
  --out FILE           where the JSON goes (test/bench/results/TIME.json)
  --profile DIR        Breakwater alone, leaving a CPU profile per scenario in DIR
  --no-pin             leave it to the kernel which core runs what
  --list, --help`

const FULL: Timing = { rounds: 3, warmupMs: 500, durationMs: 1_200 }
const QUICK: Timing = { rounds: 1, warmupMs: 300, durationMs: 600 }

/** Text to print instead of a run, or what to run. */
export function parseCommandLine(args: readonly string[]): Invocation | string {
  const { values } = parse(args)
  if (values.help === true) return USAGE
  if (values.list === true) return listing()
  const quick = values.quick === true
  const wanted = values.only === undefined ? undefined : namesOf(values.only)
  const isWanted = (name: string): boolean => wanted?.has(name) ?? true
  const timing = quick ? QUICK : FULL
  const rounds = positive('--rounds', values.rounds, timing.rounds)
  const durationMs = positive('--seconds', values.seconds, timing.durationMs / 1_000) * 1_000
  const idlePlan = quick ? QUICK_IDLE_PLAN : IDLE_PLAN
  return {
    quick,
    scenarios: SCENARIOS.filter(
      ({ name, quick: short }) => isWanted(name) && (short || !quick || wanted !== undefined),
    ),
    idle: isWanted(IDLE_NAME)
      ? { ...idlePlan, rounds: values.rounds === undefined ? idlePlan.rounds : rounds }
      : undefined,
    timing: { ...timing, rounds: Math.ceil(rounds), durationMs },
    pinned: values['no-pin'] !== true,
    outFile: values.out,
    profileFolder: values.profile,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        out: { type: 'string' },
        profile: { type: 'string' },
        'no-pin': { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause })
  }
}

/** The scenario of that name, or those whose names begin so. */
function namesOf(only: string): ReadonlySet<string> {
  const known = [...SCENARIOS.map(({ name }) => name), IDLE_NAME]
  return new Set(
    only.split(',').flatMap((typed) => {
      const name = typed.trim()
      const names = known.includes(name) ? [name] : known.filter((each) => each.startsWith(name))
      if (name !== '' && names.length > 0) return names
      throw new UsageError(`--only: no scenario begins with "${name}"; --list shows all`)
    }),
  )
}

function positive(option: string, text: string | undefined, standard: number): number {
  if (text === undefined) return standard
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new UsageError(`${option}: ${text} is not a number above 0`)
}

function listing(): string {
  const rows = [
    ...SCENARIOS.map(({ name, title, quick }) => ({ name, title, quick })),
    { name: IDLE_NAME, title: 'idle TLS connections, subscribed: memory of each', quick: true },
  ]
  return rows
    .map(({ name, title, quick }) => `${name.padEnd(20)} ${title}${quick ? '  (quick)' : ''}`)
    .join('\n')
}
