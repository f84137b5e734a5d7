import { setImmediate as turn } from 'node:timers/promises'

/** So long work for one client may hold up the others at a time. */
const SLICE_MS = 2

/**
 * Long work in pieces: when one has taken its time, the event loop is left to others. Whoever works asks `isOver`
 * now and then, and awaits `next` where it is.
 */
export class Slices {
  #endsAt = performance.now() + SLICE_MS

  get isOver(): boolean {
    return performance.now() >= this.#endsAt
  }

  async next(): Promise<void> {
    await turn()
    this.#endsAt = performance.now() + SLICE_MS
  }
}
