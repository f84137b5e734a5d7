/** Which core runs what: the broker on one, the generator on another, where there are two. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { findProgram } from '../kit/program.ts'

export interface Cores {
  readonly broker: number
  readonly generator: number
}

/** Undefined where nothing can be pinned. */
export function chooseCores(): Cores | undefined {
  if (findProgram('taskset') === undefined) return undefined
  const [broker, generator] = allowedCores()
  return broker === undefined || generator === undefined ? undefined : { broker, generator }
}

/** Pins all threads of a process, and those that they start. */
export function pin(pid: number, core: number | undefined): void {
  if (core === undefined) return
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', `${core}`, `${pid}`])
}

function allowedCores(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8')
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
