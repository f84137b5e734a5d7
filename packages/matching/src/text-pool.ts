import { topicMatchesFilter } from '@breakwater/mqtt'
import { columnOf } from './column.ts'
import type { FilterNames } from './filter-names.ts'

/**
 * Texts by id, as bytes outside of the heap: of a text of 25 characters a string and the place that holds it
 * take 56 bytes, and here it takes 36. The garbage collector has none of them to look at.
 *
 * An entry is its id (times two, plus one if a character takes two bytes), its length, and its characters,
 * in units of four bytes. A chunk in which more than half is dead is left by what still lives in it, so the
 * dead never take more than the living, beside the chunk that is written to.
 *
 * Bounds: texts of 65,535 characters, 2^30 ids, 16 GiB; the owner of the ids bounds what is in it.
 */

const CHUNK_BYTES = 2 ** 20
const UNIT_BYTES = 4
const CHUNK_SHIFT = 18
const UNIT_MASK = 2 ** CHUNK_SHIFT - 1
const HEADER_BYTES = 6
const LENGTH_AT = 4

interface Chunk {
  readonly bytes: Buffer
  readonly words: Int32Array
  /** Bytes written, and those of them that are entries of dead texts. */
  end: number
  dead: number
}

export class TextPool implements FilterNames {
  /** Where each text is: its chunk, and in the lower bits its unit there. */
  #places: Uint32Array = new Uint32Array(0)
  #chunks: (Chunk | undefined)[] = []
  #current = -1

  /** Bytes of all chunks. */
  get bytes(): number {
    return this.#chunks.filter((chunk) => chunk !== undefined).length * CHUNK_BYTES
  }

  /** The id has no text yet. */
  add(id: number, text: string): void {
    const wide = isWide(text)
    const size = entryBytes(text.length, wide)
    const chunk = this.#chunkWith(size)
    const start = chunk.end
    chunk.end += size
    chunk.words[start / UNIT_BYTES] = id * 2 + (wide ? 1 : 0)
    chunk.bytes.writeUInt16LE(text.length, start + LENGTH_AT)
    chunk.bytes.write(text, start + HEADER_BYTES, wide ? 'utf16le' : 'latin1')
    this.#places = columnOf(Uint32Array, this.#places, id + 1)
    this.#places[id] = placeOf(this.#current, start)
  }

  remove(id: number): void {
    const place = this.#places[id]!
    const index = place >>> CHUNK_SHIFT
    const chunk = this.#chunks[index]!
    const unit = place & UNIT_MASK
    chunk.dead += sizeAt(chunk, unit)
    // The lowest bit still says how long it is.
    chunk.words[unit] = -2 | (chunk.words[unit]! & 1)
    if (index !== this.#current && chunk.dead * 2 > CHUNK_BYTES) this.#leave(index)
  }

  clear(): void {
    this.#places = new Uint32Array(0)
    this.#chunks = []
    this.#current = -1
  }

  text(id: number): string {
    const place = this.#places[id]!
    const { bytes, words } = this.#chunks[place >>> CHUNK_SHIFT]!
    const unit = place & UNIT_MASK
    const start = unit * UNIT_BYTES
    const length = bytes[start + LENGTH_AT]! | (bytes[start + LENGTH_AT + 1]! << 8)
    const first = start + HEADER_BYTES
    if ((words[unit]! & 1) === 0) return bytes.toString('latin1', first, first + length)
    return bytes.toString('utf16le', first, first + length * 2)
  }

  is(id: number, text: string): boolean {
    const place = this.#places[id]!
    const { bytes, words } = this.#chunks[place >>> CHUNK_SHIFT]!
    const unit = place & UNIT_MASK
    const start = unit * UNIT_BYTES
    const { length } = text
    if ((bytes[start + LENGTH_AT]! | (bytes[start + LENGTH_AT + 1]! << 8)) !== length) return false
    const first = start + HEADER_BYTES
    if ((words[unit]! & 1) !== 0) return this.text(id) === text
    for (let index = 0; index < length; index++)
      if (bytes[first + index] !== text.charCodeAt(index)) return false
    return true
  }

  matches(id: number, topic: string): boolean {
    return topicMatchesFilter(topic, this.text(id))
  }

  #chunkWith(size: number): Chunk {
    const current = this.#chunks[this.#current]
    if (current !== undefined && current.end + size <= CHUNK_BYTES) return current
    const left = this.#current
    const memory = new ArrayBuffer(CHUNK_BYTES)
    const chunk = { bytes: Buffer.from(memory), words: new Int32Array(memory), end: 0, dead: 0 }
    const free = this.#chunks.indexOf(undefined)
    this.#current = free === -1 ? this.#chunks.length : free
    this.#chunks[this.#current] = chunk
    // While it was written to it was not left, however much of it had died.
    if (current !== undefined && current.dead * 2 > CHUNK_BYTES) this.#leave(left)
    return this.#chunks[this.#current]!
  }

  /** Copies what lives in a chunk to the current one, and lets it go. */
  #leave(index: number): void {
    const from = this.#chunks[index]!
    for (let unit = 0; unit * UNIT_BYTES < from.end;) {
      const size = sizeAt(from, unit)
      const word = from.words[unit]!
      if (word >= 0) {
        const to = this.#chunkWith(size)
        const start = unit * UNIT_BYTES
        from.bytes.copy(to.bytes, to.end, start, start + size)
        this.#places[word >> 1] = placeOf(this.#current, to.end)
        to.end += size
      }
      unit += size / UNIT_BYTES
    }
    this.#chunks[index] = undefined
  }
}

function placeOf(chunk: number, byte: number): number {
  return ((chunk << CHUNK_SHIFT) | (byte / UNIT_BYTES)) >>> 0
}

function isWide(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 255) return true
  return false
}

function entryBytes(length: number, wide: boolean): number {
  const bytes = HEADER_BYTES + (wide ? length * 2 : length)
  return Math.ceil(bytes / UNIT_BYTES) * UNIT_BYTES
}

function sizeAt({ bytes, words }: Chunk, unit: number): number {
  const length = bytes.readUInt16LE(unit * UNIT_BYTES + LENGTH_AT)
  return entryBytes(length, (words[unit]! & 1) === 1)
}
