/**
 * Calls back in the order of the entries what is ready in any order, for each topic by itself: an order that
 * MQTT asks for [MQTT-4.6.0-6], and that several writers do not have together. Bound: what they have to answer.
 */
interface Turn<Answer extends readonly unknown[]> {
  readonly done: (...answer: Answer) => void
  answer: Answer | undefined
}

export class TopicTurns<Answer extends readonly unknown[]> {
  readonly #waiting = new Map<string, Turn<Answer>[]>()

  /** Whether some of the topic have not been called back. */
  has(topic: string): boolean {
    return this.#waiting.has(topic)
  }

  /** Returns what is to be called instead of `done`, once. */
  enter(topic: string, done: (...answer: Answer) => void): (...answer: Answer) => void {
    const turn: Turn<Answer> = { done, answer: undefined }
    const line = this.#waiting.get(topic)
    if (line === undefined) this.#waiting.set(topic, [turn])
    else line.push(turn)
    return (...answer) => {
      turn.answer = answer
      this.#leave(topic)
    }
  }

  #leave(topic: string): void {
    const line = this.#waiting.get(topic) ?? []
    const [first] = line
    if (first?.answer === undefined) return
    line.shift()
    if (line.length === 0) this.#waiting.delete(topic)
    try {
      first.done(...first.answer)
    } finally {
      this.#leave(topic)
    }
  }
}
