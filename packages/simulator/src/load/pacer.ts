/**
 * The one timer of a run. It calls back, does what is due, and is told when the next thing is due.
 * A callback that comes too late finds more work due; nothing is skipped and nothing is moved.
 */
import { nowUs } from './clock.ts'

/** Does everything due at `now` and returns when it wants to be called again. */
export type PacerTask = (now: number) => number

export class Pacer {
  readonly #task: PacerTask
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #running = false

  constructor(task: PacerTask) {
    this.#task = task
  }

  start(): void {
    this.#running = true
    this.#tick()
  }

  stop(): void {
    this.#running = false
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }

  #tick = (): void => {
    const nextUs = this.#task(nowUs())
    if (!this.#running) return
    const waitUs = nextUs - nowUs()
    // Behind: let the sockets be read once, then go on. Otherwise sleep; Node counts in whole ms.
    if (waitUs <= 0) this.#immediate = setImmediate(this.#tick)
    else if (waitUs < Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(this.#tick, Math.min(Math.ceil(waitUs / 1000), 1000))
    } else this.#running = false
  }
}
