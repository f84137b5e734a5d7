/** A promise that was not kept, and what it was not kept for. */
export type GuaranteeId =
  | 'G1'
  | 'G2'
  | 'G3'
  | 'G4'
  | 'G5'
  | 'G6'
  | 'G7'
  | 'G8'
  | 'G9'
  | 'G11'
  | 'G12'
  | 'G13'

export interface Violation {
  readonly guarantee: GuaranteeId
  /** One sentence. */
  readonly text: string
  /** When it was seen, or when its message was published, ms. */
  readonly at: number
  readonly client?: string
  readonly message?: string
}

/** In the order of time, so that the first is the one to look at. */
export function inOrder(violations: readonly Violation[]): Violation[] {
  return violations.toSorted((one, other) => one.at - other.at)
}
