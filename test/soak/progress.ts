/** What a round is doing: in place on a terminal; elsewhere a line every few seconds. */
import type { HistoryLine } from './history.ts'

const SHOW_EVERY_MS = 5_000
const REDRAW_EVERY_MS = 250

export class Progress {
  readonly #seed: number
  readonly #timer: NodeJS.Timeout
  readonly #start = performance.now()
  #phase = ''
  #lines: readonly HistoryLine[] = []

  constructor(seed: number) {
    this.#seed = seed
    const isTerminal = process.stdout.isTTY
    this.#timer = setInterval(() => this.#show(), isTerminal ? REDRAW_EVERY_MS : SHOW_EVERY_MS)
  }

  phase(phase: string, lines: readonly HistoryLine[]): void {
    this.#phase = phase
    this.#lines = lines
  }

  end(): void {
    clearInterval(this.#timer)
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K')
  }

  #show(): void {
    const seconds = Math.round((performance.now() - this.#start) / 1_000)
    const last = this.#lines.findLast(({ kind }) => kind === 'fault')
    const fault = last?.kind === 'fault' ? `, ${last.phase} ${last.fault} ${last.target}` : ''
    const text = `seed ${this.#seed} ${this.#phase} ${seconds} s, ${this.#lines.length} lines${fault}`
    process.stdout.write(process.stdout.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
  }
}
