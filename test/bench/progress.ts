/** What a run has come to, one line per sample on standard error. */
import type { BrokerName } from './broker.ts'
import type { Invocation } from './command-line.ts'
import type { IdleName, IdleSample } from './idle.ts'
import { significant } from './report.ts'
import type { Sample } from './sample.ts'

const SECOND_MS = 1_000
const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export class Progress {
  readonly #total: number
  readonly #startedAt = performance.now()
  #done = 0

  constructor({ scenarios, idle, timing }: Invocation, brokers: number) {
    this.#total =
      scenarios.length * timing.rounds * brokers +
      (idle === undefined ? 0 : idle.rounds * (brokers + 1))
  }

  sample(scenario: string, broker: BrokerName, sample: Sample): void {
    if (sample.invalid !== undefined) {
      this.line(`${scenario} ${broker}: does not count: ${sample.invalid}`)
      return
    }
    const { cpuUsPerMessage, messagesPerSecond, p99Ms, brokerCpu, generatorCpu, foreignCpu } =
      sample
    const percent = (share: number): string => `${(share * 100).toFixed(0)} %`
    this.#step(
      `${scenario.padEnd(19)} ${broker.padEnd(11)}`,
      `${significant(cpuUsPerMessage).padStart(6)} µs`,
      `${COUNT.format(messagesPerSecond).padStart(10)}/s`,
      `p99 ${significant(p99Ms)} ms`,
      `cpu ${percent(brokerCpu)}, generator ${percent(generatorCpu)}, others ${percent(foreignCpu)}`,
      ...(sample.generatorBound ? ['generator-bound'] : []),
    )
  }

  idle(broker: IdleName, { residentKib, heapKib }: IdleSample): void {
    this.#step(
      `${'idle-tls'.padEnd(19)} ${broker.padEnd(11)}`,
      `${residentKib.toFixed(1).padStart(6)} KiB each`,
      ...(heapKib === undefined ? [] : [`${heapKib.toFixed(1)} KiB of it in V8's heap`]),
    )
  }

  line(text: string): void {
    console.error(text)
  }

  #step(...parts: string[]): void {
    this.#done += 1
    const seconds = ((performance.now() - this.#startedAt) / SECOND_MS).toFixed(0)
    console.error(`[${this.#done}/${this.#total} ${seconds} s] ${parts.join('  ')}`)
  }
}
