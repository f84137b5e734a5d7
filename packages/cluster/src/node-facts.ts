/** What a node says of itself, now and then. */
export interface NodeFacts {
  readonly version: string
  /** When it was started, ms since the epoch. */
  readonly sinceMs: number
  readonly connections: number
}

/** By name: a binary form that nodes exchange, the versions that a node reads, and the latest that it writes. */
export type Forms = Readonly<
  Record<string, { readonly reads: readonly number[]; readonly writes: number }>
>

export interface NodeEntry extends NodeFacts {
  readonly id: string
}
