/**
 * The filters that this node has announced, each with what waits for the others to know it. Whoever announces one
 * again waits for the same. Bound: the filters of the node's clients.
 */
export class Announced {
  readonly #known = new Map<string, Promise<void> | undefined>()

  get filters(): readonly string[] {
    return [...this.#known.keys()]
  }

  has(filter: string): boolean {
    return this.#known.has(filter)
  }

  /** Until when it is not known everywhere; undefined: it is, or was not announced. */
  pending(filter: string): Promise<void> | undefined {
    return this.#known.get(filter)
  }

  /** `known` is of these very words: a filter that is withdrawn and announced again meanwhile waits for others. */
  add(filters: readonly string[], known: Promise<void>): void {
    for (const filter of filters) this.#known.set(filter, known)
    const settle = (deal: (filter: string) => void): void => {
      for (const filter of filters) if (this.#known.get(filter) === known) deal(filter)
    }
    known.then(
      () => settle((filter) => this.#known.set(filter, undefined)),
      // Perhaps taken, perhaps not: the next subscriber announces it again.
      () => settle((filter) => this.#known.delete(filter)),
    )
  }

  /** They were said once more; those that were not withdrawn meanwhile wait for that, too. */
  addAgain(filters: readonly string[], known: Promise<void>): void {
    const kept = filters.filter((filter) => this.has(filter))
    for (const filter of kept) {
      const before = this.pending(filter)
      if (before !== undefined) this.add([filter], Promise.all([before, known]).then(nothing))
    }
    this.add(
      kept.filter((filter) => this.pending(filter) === undefined),
      known,
    )
  }

  /** Whether it was there. */
  delete(filter: string): boolean {
    return this.#known.delete(filter)
  }
}

function nothing(): void {}
