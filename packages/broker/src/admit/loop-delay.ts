/**
 * How late the event loop is, as admission decides by it: rises with the latest sample, falls with time. In:
 * what the sampler of the metrics sees, every 20 ms.
 */
const KEPT_PER_SAMPLE = 0.8

export class LoopDelay {
  #ms = 0

  get ms(): number {
    return this.#ms
  }

  sample(lateMs: number): void {
    this.#ms = Math.max(lateMs, this.#ms * KEPT_PER_SAMPLE)
  }
}
