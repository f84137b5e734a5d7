/** The table of `npm run attack`. */
import type { AttackCase } from './attack-case.ts'
import type { AttackResult, Quiet, Side } from './attack-run.ts'

export const headings: readonly string[] = [
  'case',
  'attack, µs/KB',
  'harmless, µs/KB',
  'ratio',
  'node, MiB',
  'Redis, MiB',
  'bystander p99, ms',
  'before, ms',
  'verdict',
]

/** Wanted of a quiet machine. */
const P99_MS_MAX = 100

export interface Row {
  readonly cells: readonly string[]
  readonly isSound: boolean
}

export function rowOf(
  { name }: AttackCase,
  quiet: Quiet | undefined,
  result: AttackResult | Error,
): Row {
  if (result instanceof Error)
    return { cells: [name, '', '', '', '', '', '', '', result.message], isSound: false }
  const { attack, harmless, ratio, growthMib, redisMib, roundTripsMs } = result
  const p99 = percentile(roundTripsMs, 0.99)
  const faults = [...result.faults]
  if (p99 > P99_MS_MAX) faults.push(`the bystander waited ${p99.toFixed(0)} ms (p99)`)
  return {
    cells: [
      name,
      costOf(attack),
      costOf(harmless),
      ratio.toFixed(2),
      growthMib?.toFixed(0) ?? '–',
      redisMib?.toFixed(0) ?? '–',
      p99.toFixed(0),
      percentile(quiet?.roundTripsMs ?? [], 0.99).toFixed(0),
      faults.length === 0 ? 'holds' : faults.join('; '),
    ],
    isSound: faults.length === 0,
  }
}

export function tableOf(rows: readonly (readonly string[])[]): string[] {
  const columns = rows[0] ?? []
  const widths = columns.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}

function costOf({ bytes, cpuMs }: Side): string {
  return ((cpuMs * 1_000) / (bytes / 1_024)).toFixed(1)
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
