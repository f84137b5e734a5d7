/** The texts of filters by id, as an index asks for them: only the text decides, keys may collide. */
export interface FilterNames {
  /** Whether the filter of this id is this text. */
  is(id: number, filter: string): boolean
  /** Whether the filter of this id matches the topic. */
  matches(id: number, topic: string): boolean
}
