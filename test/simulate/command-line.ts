/** What is typed behind `npm run simulate --`. */
import { parseArgs } from 'node:util'

export interface Invocation {
  readonly task: 'simulate' | 'measure' | 'validate'
  readonly devices: number
  /** Each device publishes one message in this number of seconds. */
  readonly periodSeconds: number
  readonly nodesMax: number
  /** Where the curves go. */
  readonly chartFile: string
}

export class UsageError extends Error {}

export const USAGE = `npm run simulate -- [options]
  --devices N      how many devices (1000000)
  --period S       seconds between two messages of a device (10)
  --nodes-max N    the largest cluster, 2 to 500 (50)
  --out FILE       where the curves go (docs/scaling.svg)
  --measure        instead: the unit costs of this machine, into test/simulate/unit-costs.json; about five minutes
  --validate       instead: the model beside real clusters here, into test/simulate/validation.json; about two
  --help`

export const DEFAULTS = { devices: 1_000_000, periodSeconds: 10, nodesMax: 50 } as const
const CHART_FILE = 'docs/scaling.svg'
/** Larger clusters are untested; the model itself has no bound. */
export const NODES_MAX = 500

/** Text to print instead of a run, or what to run. @throws {UsageError} one line */
export function parseCommandLine(args: readonly string[]): Invocation | string {
  const { values } = parse(args)
  if (values.help === true) return USAGE
  const { measure = false, validate = false } = values
  if (measure && validate) throw new UsageError('--measure and --validate: one after the other')
  return {
    task: measure ? 'measure' : validate ? 'validate' : 'simulate',
    devices: numberOf('--devices', values.devices, DEFAULTS.devices, { min: 1, max: 1e9 }),
    periodSeconds: numberOf('--period', values.period, DEFAULTS.periodSeconds, {
      min: 0.001,
      max: 86_400,
    }),
    nodesMax: Math.floor(
      numberOf('--nodes-max', values['nodes-max'], DEFAULTS.nodesMax, { min: 2, max: NODES_MAX }),
    ),
    chartFile: values.out ?? CHART_FILE,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        devices: { type: 'string' },
        period: { type: 'string' },
        'nodes-max': { type: 'string' },
        out: { type: 'string' },
        measure: { type: 'boolean' },
        validate: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
  } catch (error) {
    const [line] = (error as Error).message.split('\n')
    throw new UsageError(line)
  }
}

function numberOf(
  option: string,
  text: string | undefined,
  fallback: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (text.trim() === '' || !(value >= min && value <= max))
    throw new UsageError(`${option}: must be a number from ${min} to ${max}, not "${text}"`)
  return value
}
