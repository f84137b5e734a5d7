/**
 * How far each sender has been heard. A frame whose answer was lost is sent again; what it brings a second
 * time is known by its number. Bound: SENDERS_MAX, the one that was silent for longest is forgotten.
 */
const SENDERS_MAX = 10_000

export class SenderLog {
  readonly #last = new Map<string, number>()

  isNew(channel: string, sender: string, number: number): boolean {
    const key = `${channel} ${sender}`
    const last = this.#last.get(key)
    if (last !== undefined && number <= last) return false
    this.#last.delete(key)
    this.#last.set(key, number)
    if (this.#last.size > SENDERS_MAX) {
      const [oldest] = this.#last.keys()
      if (oldest !== undefined) this.#last.delete(oldest)
    }
    return true
  }
}
