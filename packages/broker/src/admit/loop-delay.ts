/**
 * How late the event loop is, as admission decides by it: the least of the latest samples. One pause, such as of
 * the garbage collector or of the machine, is no overload; a loop that is late every time is.
 *
 * In: what the sampler of the metrics sees, every 20 ms or when the loop gets to it.
 */
const SAMPLES = 5

export class LoopDelay {
  readonly #samples = new Float64Array(SAMPLES)
  #next = 0

  get ms(): number {
    return Math.min(...this.#samples)
  }

  sample(lateMs: number): void {
    this.#samples[this.#next] = Math.max(0, lateMs)
    this.#next = (this.#next + 1) % SAMPLES
  }
}
