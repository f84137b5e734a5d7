/**
 * CPU time, memory and steal as the kernel counts them (Linux; elsewhere there is nothing to read).
 * Read at the edges of the measured interval, so that the cost of a broker on this host can be
 * given per message.
 */
import { readFileSync } from 'node:fs'

const CLOCK_TICK_MS = 10 // USER_HZ is 100 on every Linux that Node runs on

export interface ProcessSample {
  readonly cpuMs: number
  readonly residentBytes: number
}

const readOptional = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** User and system time and resident memory of a process; undefined if it cannot be read. */
export const sampleProcess = (pid: number): ProcessSample | undefined => {
  const stat = readOptional(`/proc/${pid}/stat`)
  const status = readOptional(`/proc/${pid}/status`)
  if (stat === undefined || status === undefined) return undefined
  // The command name in parentheses can hold spaces; counting starts behind it (field 3).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  const residentKb = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0)
  return { cpuMs: ticks * CLOCK_TICK_MS, residentBytes: residentKb * 1024 }
}

export interface HostSample {
  readonly totalTicks: number
  readonly stealTicks: number
}

/** Ticks of all cores since boot; undefined if they cannot be read. */
export const sampleHost = (): HostSample | undefined => {
  const line = readOptional('/proc/stat')?.split('\n', 1)[0]
  if (line === undefined) return undefined
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return { totalTicks: ticks.reduce((sum, tick) => sum + tick, 0), stealTicks: ticks[7] ?? 0 }
}
