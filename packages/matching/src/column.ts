/** Columns of numbers by id, which grow by a quarter: most of a large one is in use. */

const LENGTH_MIN = 64

export type Column = Int32Array | Uint32Array | Uint8Array

/** The column itself if it has so many places, otherwise a longer one with what it holds, then zeros. */
export function columnOf<C extends Column>(
  make: new (length: number) => C,
  column: C,
  length: number,
): C {
  if (length <= column.length) return column
  const longer = new make(Math.max(LENGTH_MIN, length, Math.ceil(column.length * 1.25)))
  longer.set(column)
  return longer
}
