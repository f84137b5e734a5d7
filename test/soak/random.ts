/** Random numbers that follow from a seed alone, so that a run can be drawn again. */

export interface Random {
  /** At least `min`, below `max`. */
  between(min: number, max: number): number
  /** A whole number, both bounds included. */
  integer(min: number, max: number): number
  chance(probability: number): boolean
  /** @throws {RangeError} of an empty list */
  pick<T>(list: readonly T[]): T
}

/** `name` separates streams of one seed: a draw in one does not shift the others. */
export function randomOf(seed: number, name: string): Random {
  let state = hashOf(`${seed}/${name}`)
  // mulberry32: 32 bits of state are plenty for a schedule.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  return {
    between: (min, max) => min + next() * (max - min),
    integer,
    chance: (probability) => next() < probability,
    pick: (list) => {
      if (list.length === 0) throw new RangeError('nothing to pick from')
      return list[integer(0, list.length - 1)] as (typeof list)[number]
    },
  }
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash | 0
}
