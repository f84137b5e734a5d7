import type { QoS } from '@breakwater/mqtt'
import type { Matches, Target } from './matches.ts'

/**
 * Joins the targets of several filters: each target once, at the place where it was met first, with
 * the highest QoS. A target says itself where it was put, and that place says whether it is true, so
 * no set is built and what an earlier match left in the target does no harm.
 */
export class MatchMerge<T extends Target> {
  readonly #targets: T[] = []
  readonly #qos: QoS[] = []

  get matches(): Matches<T> {
    return { targets: this.#targets, qos: this.#qos }
  }

  add(target: T, qos: QoS): void {
    const place = target.matchIndex
    if (place >= this.#targets.length || this.#targets[place] !== target) {
      target.matchIndex = this.#targets.length
      this.#targets.push(target)
      this.#qos.push(qos)
    } else if (qos > this.#qos[place]!) {
      this.#qos[place] = qos
    }
  }

  addAll(matches: Matches<T>): void {
    for (let index = 0; index < matches.targets.length; index++) {
      this.add(matches.targets[index]!, matches.qos[index]!)
    }
  }
}
