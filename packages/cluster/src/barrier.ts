/** Who waits until all other nodes know a version. Bound: a wait ends after `viewLeaseMs` (view.ts says why). */
interface Wait {
  readonly version: number
  readonly missing: Set<string>
  readonly timer: NodeJS.Timeout
  readonly resolve: () => void
}

export class Barrier {
  readonly #leaseMs: number
  readonly #confirmed = new Map<string, number>()
  readonly #waits = new Set<Wait>()

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  /** Resolves when each of these nodes has confirmed the version, has left, or has lost its view. */
  async passed(version: number, nodes: readonly string[]): Promise<void> {
    const missing = new Set(nodes.filter((node) => (this.#confirmed.get(node) ?? 0) < version))
    if (missing.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#end(wait), this.#leaseMs)
      const wait: Wait = { version, missing, timer, resolve }
      this.#waits.add(wait)
    })
  }

  confirmed(node: string, version: number): void {
    if (version <= (this.#confirmed.get(node) ?? 0)) return
    this.#confirmed.set(node, version)
    for (const wait of this.#waits) if (wait.version <= version) this.#without(wait, node)
  }

  /** What it has confirmed may be of another log; who waits for it goes on. */
  distrust(node: string): void {
    this.#confirmed.delete(node)
  }

  left(node: string): void {
    this.distrust(node)
    for (const wait of this.#waits) this.#without(wait, node)
  }

  close(): void {
    for (const wait of this.#waits) this.#end(wait)
  }

  #without(wait: Wait, node: string): void {
    wait.missing.delete(node)
    if (wait.missing.size === 0) this.#end(wait)
  }

  #end(wait: Wait): void {
    clearTimeout(wait.timer)
    this.#waits.delete(wait)
    wait.resolve()
  }
}
