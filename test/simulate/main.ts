/**
 * `npm run simulate`: what a cluster of 2 to 50 nodes takes and needs, from unit costs that were measured before;
 * with --measure or --validate, the measuring. Code 1: it could not be done; one line says why.
 */
import { writeFileSync } from 'node:fs'
import { parseCommandLine, UsageError, type Invocation } from './command-line.ts'
import { measureCosts } from './measure.ts'
import {
  costRows,
  fleetRows,
  markdownTable,
  otherRows,
  scalingChart,
  sizeRows,
  SIZES,
  validationRows,
} from './report.ts'
import { COSTS_FILE, readCosts } from './unit-costs.ts'
import { readValidation, validate, VALIDATION_FILE } from './validate.ts'

try {
  const invocation = parseCommandLine(process.argv.slice(2))
  if (typeof invocation === 'string') console.log(invocation)
  else await run(invocation)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`simulate: ${error.message}`)
  process.exitCode = 1
}

async function run(invocation: Invocation): Promise<void> {
  const say = (what: string): void => console.log(what)
  if (invocation.task === 'measure') save(COSTS_FILE, await measureCosts(say))
  else if (invocation.task === 'validate') save(VALIDATION_FILE, await validate(readCosts(), say))
  else simulate(invocation)
}

function simulate(invocation: Invocation): void {
  const costs = readCosts()
  const sizes = SIZES.filter((nodes) => nodes <= invocation.nodesMax)
  const { machine } = costs
  const tables = [
    `Measured on ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, Redis ${machine.redis}, ${machine.date}.`,
    markdownTable(
      ['CPU, µs', 'QoS 0 message', 'frame or turn', 'QoS 1 message', 'frame or turn'],
      costRows(costs),
    ),
    markdownTable(['what else', 'costs'], otherRows(costs)),
    `${invocation.devices} devices, a message each ${invocation.periodSeconds} s:`,
    markdownTable(
      ['', 'nodes', 'CPU each', 'Redis, cores', 'shards', 'frames/s', 'MiB each'],
      fleetRows(costs, invocation),
    ),
    markdownTable(
      [
        'nodes',
        'QoS',
        'messages/s',
        'each node',
        'a turn takes',
        'frames/s',
        'Redis, cores',
        'shards',
        'a shard carries/s',
        'delay, ms',
      ],
      sizeRows(costs, sizes),
    ),
    markdownTable(
      [
        'nodes',
        'QoS',
        'messages/s',
        'node %',
        'measured',
        'error',
        'Redis %',
        'measured',
        'error',
        'frames/s, alone',
        'measured',
      ],
      validationRows(readValidation()),
    ),
  ]
  console.log(tables.join('\n\n'))
  try {
    writeFileSync(invocation.chartFile, scalingChart(costs, invocation.nodesMax))
  } catch (error) {
    throw new UsageError(`--out ${invocation.chartFile}: ${(error as Error).message}`)
  }
}

function save(file: URL, content: unknown): void {
  writeFileSync(file, `${JSON.stringify(content, rounded, 2)}\n`)
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value
}
