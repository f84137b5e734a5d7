/**
 * The revocations that all nodes share, as texts under ids: what they mean is the broker's. Each change has a
 * version, so that a node can say how far it knows, and take one step from a notice instead of reading all.
 */
export interface RevocationChange {
  readonly id: string
  /** The change is made only where the entry is this now; absent: whatever it is. */
  readonly from?: string
  /** Absent: the entry goes. */
  readonly text?: string
  /** The change is made only from this time on, ms since the epoch, by the clock of the store. */
  readonly notBeforeMs?: number
}

/** One change that was made. Versions rise, not by one. */
export interface RevocationStep {
  readonly previous: number
  readonly version: number
  readonly id: string
  readonly text?: string
}

/**
 * - `full`: there are as many as there may be.
 * - `unchanged`: it was not `from`, there was nothing to remove, or it is too early.
 * - `behind`: the store knows less than who asks, so it has lost something; see `restore`.
 */
export type RevocationAnswer = RevocationStep | 'full' | 'unchanged' | 'behind'

export interface RevocationSnapshot {
  /** 0: nobody has ever been revoked, or all was lost. */
  readonly version: number
  /** Version of the last time at which something lost was put back; 0: never. Every node looks then. */
  readonly restored: number
  readonly entries: ReadonlyMap<string, string>
}

export interface RevocationStore {
  /** Undefined where the version is `known`. @throws {Error} the store does not answer */
  read(known: number): Promise<RevocationSnapshot | undefined>
  /** @throws {Error} the store does not answer; the change may have been made */
  change(change: RevocationChange, known: number, entriesMax: number): Promise<RevocationAnswer>
  /**
   * Puts back what the store has lost; what it has stays as it is. `known` is the version that the caller has
   * seen: where the store has a lower one, that it was restored is told by the next snapshot.
   *
   * @throws {Error} the store does not answer
   */
  restore(entries: ReadonlyMap<string, string>, known: number): Promise<void>
}
