/** Where a run took place: what a reader needs to judge its numbers. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

export interface Environment {
  readonly node: string
  readonly openssl: string
  readonly platform: string
  readonly kernel: string
  readonly architecture: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  /** One-minute load average when the run began. */
  readonly load: number
}

export const describeEnvironment = (): Environment => ({
  node: process.version,
  openssl: process.versions.openssl ?? '',
  platform: process.platform,
  kernel: release(),
  architecture: process.arch,
  cpu: cpus()[0]?.model ?? '',
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  load: loadavg()[0] ?? 0,
})
