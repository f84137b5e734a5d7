/** What a node says of itself, now and then. */
export interface NodeFacts {
  readonly version: string
  /** When it was started, ms since the epoch. */
  readonly sinceMs: number
  readonly connections: number
}

export interface NodeEntry extends NodeFacts {
  readonly id: string
}
