/**
 * How far each sender has been heard. A frame whose answer was lost is sent again; what it brings a second
 * time is known by its number. Bound: SENDERS_MAX, the one that was silent for longest is forgotten.
 */
const SENDERS_MAX = 10_000

export class SenderLog {
  readonly #last = new Map<string, number>()

  /** 0 for one that was never heard: numbers start at 1. */
  lastOf(sender: string): number {
    return this.#last.get(sender) ?? 0
  }

  heard(sender: string, number: number): void {
    this.#last.delete(sender)
    this.#last.set(sender, number)
    if (this.#last.size <= SENDERS_MAX) return
    const [oldest] = this.#last.keys()
    if (oldest !== undefined) this.#last.delete(oldest)
  }

  isNew(sender: string, number: number): boolean {
    if (number <= this.lastOf(sender)) return false
    this.heard(sender, number)
    return true
  }
}
