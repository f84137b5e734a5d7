/**
 * Flushes the write queues that got something in this turn of the event loop, once, after all sockets that
 * were readable have been read. A fan-out to many sockets yields to the loop in between: a write is a
 * system call.
 */
import { FrameQueue } from './frame-queue.ts'

const FLUSHES_PER_TURN = 512
/** Queues kept for the next turn; more are left to the garbage collector. */
const SPARE_QUEUES_MAX = 1_024

/** Has something to write. */
export interface Flushable {
  flush(): void
}

export class TurnFlusher {
  /** Frames that were queued so far, at all connections: the work that a reader has made. */
  queued = 0
  #dirty: Flushable[] = []
  #next = 0
  #scheduled = false
  readonly #spare: FrameQueue[] = []

  /** An empty queue, for a connection that has something to write. */
  borrow(): FrameQueue {
    return this.#spare.pop() ?? new FrameQueue()
  }

  giveBack(queue: FrameQueue): void {
    queue.clear()
    if (this.#spare.length < SPARE_QUEUES_MAX) this.#spare.push(queue)
  }

  add(writer: Flushable): void {
    this.#dirty.push(writer)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const end = Math.min(this.#dirty.length, this.#next + FLUSHES_PER_TURN)
    while (this.#next < end) {
      const writer = this.#dirty[this.#next] as Flushable
      this.#next += 1
      writer.flush()
    }
    if (this.#next < this.#dirty.length) {
      setImmediate(this.#flush)
      return
    }
    this.#dirty.length = 0
    this.#next = 0
    this.#scheduled = false
  }
}
