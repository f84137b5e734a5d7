/**
 * How far a publisher may run ahead of its subscribers when it is driven by deliveries.
 *
 * A message is outstanding from its sending until every receiver has it (or a later one: what was
 * lost in between must not stop the run). At most `size` messages are outstanding.
 */
export class CreditWindow {
  readonly size: number
  readonly #receivers: number
  readonly #arrived: Uint32Array // receivers that have a message, by sequence modulo its length
  readonly #mask: number
  #completed = 0

  constructor(size: number, receivers: number) {
    this.size = size
    this.#receivers = receivers
    const slots = 2 ** Math.ceil(Math.log2(size + 1))
    this.#arrived = new Uint32Array(receivers > 1 ? slots : 0)
    this.#mask = slots - 1
  }

  /** Messages below this sequence number may be sent. */
  get limit(): number {
    return this.#completed + this.size
  }

  /** One receiver went from `from` to `to` (the sequence after the newest it has). */
  advance(from: number, to: number): void {
    if (this.#receivers === 1) {
      if (to > this.#completed) this.#completed = to
      return
    }
    for (let sequence = Math.max(from, this.#completed); sequence < to; sequence++) {
      this.#arrived[sequence & this.#mask]! += 1
    }
    while (this.#arrived[this.#completed & this.#mask] === this.#receivers) {
      this.#arrived[this.#completed & this.#mask] = 0
      this.#completed += 1
    }
  }

  /** Gives up on everything below `sent`: it will not arrive any more. */
  forfeit(sent: number): void {
    this.#arrived.fill(0)
    this.#completed = Math.max(this.#completed, sent)
  }
}
