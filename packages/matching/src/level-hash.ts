import { getRandomValues } from 'node:crypto'

/**
 * The keyed hash of topic levels.
 *
 * Clients choose filters and topics, so a hash that anybody can compute would let one of them fill a
 * single bucket. HalfSipHash-1-3 under a random 64-bit key is what the Linux kernel uses against
 * that in its own tables, and at two characters per round it is cheap enough to run per publish.
 * Each level is one message of its UTF-16 code units, little-endian.
 */

/** Levels that are hashed, and so the deepest position a shape can name. */
export const HASHED_LEVELS_MAX = 32

const SLASH = 47

export class LevelHash {
  /** The hash of each level of the text that was hashed last. */
  readonly levels: Int32Array = new Int32Array(HASHED_LEVELS_MAX)
  /** How many levels that text has, `HASHED_LEVELS_MAX + 1` standing for any more. */
  count = 0
  readonly #key0: number
  readonly #key1: number

  constructor(key: Int32Array = getRandomValues(new Int32Array(2))) {
    this.#key0 = key[0]!
    this.#key1 = key[1]!
  }

  /** Fills `levels` and returns `count`. */
  update(text: string): number {
    const key0 = this.#key0
    const key1 = this.#key1
    const levels = this.levels
    const end = text.length
    let count = 0
    let start = 0
    let v0 = key0
    let v1 = key1
    let v2 = 0x6c796765 ^ key0
    let v3 = 0x74656462 ^ key1
    let word = 0
    for (let index = 0; index < end; index++) {
      const code = text.charCodeAt(index)
      if (code === SLASH) {
        levels[count++] = finish(v0, v1, v2, v3, word, index - start)
        if (count === HASHED_LEVELS_MAX) return (this.count = HASHED_LEVELS_MAX + 1)
        start = index + 1
        v0 = key0
        v1 = key1
        v2 = 0x6c796765 ^ key0
        v3 = 0x74656462 ^ key1
        word = 0
      } else if (((index - start) & 1) === 0) {
        word = code
      } else {
        word |= code << 16
        v3 ^= word
        v0 = (v0 + v1) | 0
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
        v0 = (v0 << 16) | (v0 >>> 16)
        v2 = (v2 + v3) | 0
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
        v0 = (v0 + v3) | 0
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
        v2 = (v2 + v1) | 0
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
        v2 = (v2 << 16) | (v2 >>> 16)
        v0 ^= word
        word = 0
      }
    }
    levels[count++] = finish(v0, v1, v2, v3, word, end - start)
    return (this.count = count)
  }
}

/** Mixes the hashes of these levels, as far as the text that was hashed last has them. */
export function keyOf({ levels, count }: LevelHash, literals: Uint8Array): number {
  let key = 0
  for (let index = 0; index < literals.length; index++) {
    const level = literals[index]!
    if (level >= count) break
    key = Math.imul(((key << 13) | (key >>> 19)) ^ levels[level]!, 0x9e3779b1)
  }
  key = Math.imul(key ^ (key >>> 15), 0x85ebca6b)
  return key ^ (key >>> 13)
}

/** The last word, which carries the length in bytes, and the three rounds that finish a level. */
function finish(
  v0: number,
  v1: number,
  v2: number,
  v3: number,
  tail: number,
  codeUnits: number,
): number {
  const last = (codeUnits << 25) | tail
  v3 ^= last
  for (let round = 0; round < 4; round++) {
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    if (round === 0) {
      v0 ^= last
      v2 ^= 0xff
    }
  }
  return v1 ^ v3
}
