/** What a node has cost: CPU time by its own page; memory at its peak, where the system says so. */
import { readFileSync, writeFileSync } from 'node:fs'
import { MetricsPage } from '../fault/metrics-page.ts'
import type { NodeProcess } from '../kit/node.ts'

const KIB_PER_MIB = 1_024

export async function cpuMs(node: NodeProcess): Promise<number> {
  return (await MetricsPage.of(node)).value('process_cpu_seconds_total') * 1_000
}

/** MiB in use now; from here on `peakMib` counts anew. Undefined without a /proc of Linux. */
export function memoryMib({ process: { pid } }: NodeProcess): number | undefined {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    return undefined
  }
  return statusMib(pid, 'VmRSS')
}

export function peakMib({ process: { pid } }: NodeProcess): number | undefined {
  return statusMib(pid, 'VmHWM')
}

function statusMib(pid: number | undefined, name: string): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]
    return kib === undefined ? undefined : Number(kib) / KIB_PER_MIB
  } catch {
    return undefined
  }
}
