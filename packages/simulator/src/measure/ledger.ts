/**
 * What one subscriber has received of one publisher: nothing lost, nothing twice, all in order.
 *
 * In: the sequence number of every message. Publishers number from 0 without gaps. Out: a verdict
 * per message and totals. Bounds: while all is in order a track is a few numbers; from the first
 * gap on it keeps one bit for each of the last `WINDOW` sequences. What arrives later than that is
 * counted as out of order and its loss stands: the report then errs on the strict side.
 */

/** What a message was to its track. */
export const Arrival = { inOrder: 0, afterGap: 1, late: 2, duplicate: 3 } as const

export type Arrival = (typeof Arrival)[keyof typeof Arrival]

const WINDOW = 4096 // sequences, a power of two
const WORD_BITS = 32
const WORDS = WINDOW / WORD_BITS

export class Track {
  /** The first sequence of the track: 0, or where a late subscriber came in. */
  readonly first: number
  /** One above the highest sequence seen. */
  next: number
  /** Different messages received. */
  received = 0
  #seen: Uint32Array | undefined // absent: everything in [first, next) has arrived

  constructor(first = 0) {
    this.first = first
    this.next = first
  }

  /** Messages missing below the highest one seen. */
  get gaps(): number {
    return this.next - this.first - this.received
  }

  /** Enters one message. */
  accept(sequence: number): Arrival {
    if (sequence === this.next) {
      if (this.#seen !== undefined) this.#mark(sequence)
      this.next = sequence + 1
      this.received += 1
      return Arrival.inOrder
    }
    if (sequence > this.next) {
      this.#skipTo(sequence)
      this.received += 1
      return Arrival.afterGap
    }
    if (sequence < this.first) return Arrival.late
    if (this.#seen === undefined) return Arrival.duplicate
    if (sequence < this.next - WINDOW) return Arrival.late
    if (this.#has(sequence)) return Arrival.duplicate
    this.#mark(sequence)
    this.received += 1
    return Arrival.late
  }

  #skipTo(sequence: number): void {
    this.#seen ??= new Uint32Array(WORDS).fill(0xffff_ffff)
    if (sequence - this.next >= WINDOW) this.#seen.fill(0)
    else for (let lost = this.next; lost < sequence; lost++) this.#clear(lost)
    this.#mark(sequence)
    this.next = sequence + 1
  }

  #has(sequence: number): boolean {
    const bit = sequence % WINDOW
    return ((this.#seen![bit >> 5]! >>> (bit & 31)) & 1) === 1
  }

  #mark(sequence: number): void {
    const bit = sequence % WINDOW
    this.#seen![bit >> 5]! |= 1 << (bit & 31)
  }

  #clear(sequence: number): void {
    const bit = sequence % WINDOW
    this.#seen![bit >> 5]! &= ~(1 << (bit & 31))
  }
}

/** The tracks of one subscriber. */
export interface Ledger {
  /** The track of a publisher, or undefined if its messages have no business here. */
  track(runId: number, publisher: number, sequence: number): Track | undefined
  readonly tracks: Iterable<Track>
}

/** A ledger that knows which publishers must arrive: those of its own run. */
export class ExpectedLedger implements Ledger {
  readonly firstPublisher: number
  readonly tracks: readonly Track[]

  constructor(firstPublisher: number, publishers: number) {
    this.firstPublisher = firstPublisher
    this.tracks = Array.from({ length: publishers }, () => new Track())
  }

  track(_runId: number, publisher: number): Track | undefined {
    return this.tracks[publisher - this.firstPublisher]
  }
}

const TRACKS_MAX = 100_000

/** A ledger that learns its publishers, of any run, from what arrives; at most `TRACKS_MAX`. */
export class OpenLedger implements Ledger {
  readonly #byPublisher: Map<number, Track> = new Map()

  get tracks(): Iterable<Track> {
    return this.#byPublisher.values()
  }

  track(runId: number, publisher: number, sequence: number): Track | undefined {
    const key = runId * 0x20_0000 + publisher // both fit a double: 32 + 21 bits
    const known = this.#byPublisher.get(key)
    if (known !== undefined || this.#byPublisher.size >= TRACKS_MAX) return known
    const track = new Track(sequence)
    this.#byPublisher.set(key, track)
    return track
  }
}
