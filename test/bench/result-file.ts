/** A result as a file: small enough to commit, laid out as the formatter of this repository would. */
import type { BenchResult, BrokerResult } from './result.ts'
import { rounded, type Sample } from './sample.ts'

const LINE_MAX = 100
const DIGITS = 4

const SAMPLE_COLUMNS = [
  'round',
  'cpuUsPerMessage',
  'messagesPerSecond',
  'p50Ms',
  'p99Ms',
  'residentBytes',
  'brokerCpu',
  'generatorCpu',
  'foreignCpu',
] as const satisfies readonly (keyof Sample)[]

/** The samples as rows of `sampleColumns`, spreads as `[median, least, most]`. */
export function formatResult(result: BenchResult): string {
  const { scenarios, ...rest } = result
  const data = {
    ...rest,
    sampleColumns: SAMPLE_COLUMNS,
    scenarios: scenarios.map((scenario) => ({
      ...scenario,
      brokers: scenario.brokers.map(compactBroker),
    })),
  }
  return `${layOut(JSON.parse(JSON.stringify(data, compactNumber)) as unknown, '')}\n`
}

function compactBroker({ samples, ...summary }: BrokerResult): object {
  return {
    ...summary,
    samples: samples.map((sample) => SAMPLE_COLUMNS.map((name) => sample[name])),
  }
}

function compactNumber(_key: string, value: unknown): unknown {
  if (typeof value === 'number') return rounded(value, DIGITS)
  if (typeof value !== 'object' || value === null || !('median' in value)) return value
  const { median, min, max } = value as { median: number; min: number; max: number }
  return [median, min, max]
}

/** Everything that fits goes on one line, but for objects of objects. */
export function layOut(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const isList = Array.isArray(value)
  const inner = `${indent}  `
  const entries = Object.entries(value)
  const line = isList
    ? `[${value.map((item) => layOut(item, '')).join(', ')}]`
    : `{ ${entries.map(([key, item]) => `"${key}": ${layOut(item, '')}`).join(', ')} }`
  const isLeaf = entries.every(([, item]) => typeof item !== 'object' || item === null)
  if (entries.length === 0) return isList ? '[]' : '{}'
  if (isLeaf && indent.length + line.length < LINE_MAX - 20) return line
  const items = entries.map(([key, item]) =>
    isList ? `${inner}${layOut(item, inner)}` : `${inner}"${key}": ${layOut(item, inner)}`,
  )
  return isList ? `[\n${items.join(',\n')}\n${indent}]` : `{\n${items.join(',\n')}\n${indent}}`
}
