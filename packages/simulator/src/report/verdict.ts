/** What a run comes to: one exit code, and every reason in words. */
import type { ThresholdOutcome } from '../command/threshold.ts'

export const ExitCode = {
  ok: 0,
  input: 1,
  connect: 2,
  threshold: 3,
  overloaded: 4,
  integrity: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

export interface Verdict {
  readonly exitCode: ExitCode
  readonly reasons: readonly string[]
}

/** The facts that decide. */
export interface Findings {
  readonly interrupted: boolean
  readonly connectFailures: readonly string[]
  readonly violations: readonly string[]
  readonly overload: string | undefined
  readonly unsent: number
  readonly thresholds: readonly ThresholdOutcome[]
}

/**
 * All reasons count, the first in this order gives the code: a lost connection explains lost
 * messages, lost messages matter even if the generator was late, and a late generator makes the
 * thresholds meaningless.
 */
export const reachVerdict = (findings: Findings): Verdict => {
  const reasons: [ExitCode, string][] = []
  if (findings.interrupted) reasons.push([ExitCode.interrupted, 'interrupted'])
  for (const failure of findings.connectFailures) reasons.push([ExitCode.connect, failure])
  for (const violation of findings.violations) reasons.push([ExitCode.integrity, violation])
  if (findings.overload !== undefined) reasons.push([ExitCode.overloaded, findings.overload])
  if (findings.unsent > 0 && !findings.interrupted) {
    reasons.push([ExitCode.threshold, `${findings.unsent} due messages could not be sent in time`])
  }
  for (const { met, expression } of findings.thresholds) {
    if (!met) reasons.push([ExitCode.threshold, `threshold missed: ${expression}`])
  }
  return { exitCode: reasons[0]?.[0] ?? ExitCode.ok, reasons: reasons.map(([, text]) => text) }
}
