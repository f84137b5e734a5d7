/** The heap size of a node when only the witness is connected and its garbage has been collected. */
import { setTimeout as delay } from 'node:timers/promises'
import { MetricsPage } from '../fault/metrics-page.ts'
import type { NodeProcess } from '../kit/node.ts'

const LOOKS = 100
const LOOK_MS = 100
/** Without a bound to reach: the number of samples in a row that are not lower. */
const QUIET_LOOKS = 5
const MIB = 1_048_576

export class FuzzMemory {
  readonly #node: NodeProcess

  constructor(node: NodeProcess) {
    this.#node = node
  }

  /** MiB. What is freed is freed a little later: it looks until the bound is reached, or nothing comes back any more. */
  async settled(enoughMib = 0): Promise<number> {
    let least = Infinity
    let quiet = 0
    for (let look = 0; look < LOOKS && least > enoughMib && quiet < QUIET_LOOKS; look += 1) {
      this.#node.process.kill('SIGUSR2')
      await delay(LOOK_MS)
      const page = await MetricsPage.of(this.#node)
      const used = page.value('nodejs_heap_size_used_bytes')
      const external = page.value('nodejs_external_memory_bytes')
      const mib = (used + external) / MIB
      quiet = enoughMib === 0 && mib >= least ? quiet + 1 : 0
      least = Math.min(least, mib)
    }
    return Math.round(least * 10) / 10
  }
}
