import type { StormReport } from './storm.ts'

export function drawStorms(_runs: Readonly<Record<string, StormReport>>): string {
  return ''
}
