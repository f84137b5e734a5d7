import { describe, expect, test } from 'vitest'
import { Arrival, ExpectedLedger, OpenLedger, Track } from './ledger.ts'
import { seededRandom } from '../load/random.ts'

const enter = (track: Track, ...sequences: readonly number[]): Arrival[] =>
  sequences.map((sequence) => track.accept(sequence))

const count = (to: number): number[] => Array.from({ length: to }, (_, n) => n)

const { inOrder, afterGap, late, duplicate } = Arrival

describe('the ledger of one publisher', () => {
  test('counts messages in order as received, and none as missing', () => {
    const track = new Track()
    expect(new Set(enter(track, ...count(10_000)))).toEqual(new Set([inOrder]))
    expect([track.received, track.gaps, track.next]).toEqual([10_000, 0, 10_000])
  })

  test('counts a lost message as a gap', () => {
    const track = new Track()
    expect(enter(track, 0, 1, 3, 4)).toEqual([inOrder, inOrder, afterGap, inOrder])
    expect([track.received, track.gaps]).toEqual([4, 1])
  })

  test('counts a lost first message', () => {
    const track = new Track()
    expect(enter(track, 1)).toEqual([afterGap])
    expect(track.gaps).toBe(1)
  })

  test('counts a second copy as a duplicate, with and without an earlier gap', () => {
    const track = new Track()
    expect(enter(track, 0, 1, 1, 0)).toEqual([inOrder, inOrder, duplicate, duplicate])
    expect(enter(track, 5, 5, 1, 0)).toEqual([afterGap, duplicate, duplicate, duplicate])
    expect([track.received, track.gaps]).toEqual([3, 3])
  })

  test('closes the gap of a late message, and counts that message as out of order', () => {
    const track = new Track()
    expect(enter(track, 0, 2, 1, 3)).toEqual([inOrder, afterGap, late, inOrder])
    expect(enter(track, 1)).toEqual([duplicate])
    expect([track.received, track.gaps]).toEqual([4, 0])
  })

  test('counts a gap larger than the window as lost', () => {
    const track = new Track()
    expect(enter(track, 0, 10_000)).toEqual([inOrder, afterGap])
    expect(track.gaps).toBe(9999)
    expect(enter(track, 9999, 9999, 5)).toEqual([late, duplicate, late])
    expect([track.received, track.gaps]).toEqual([3, 9998])
  })

  test('moves its window with the newest message', () => {
    const track = new Track()
    enter(track, 1)
    for (let sequence = 2; sequence < 20_000; sequence++) track.accept(sequence)
    expect(track.gaps).toBe(1)
    expect(enter(track, 19_999, 16_000)).toEqual([duplicate, duplicate])
  })

  test('counts from the first message that a late subscriber gets', () => {
    const track = new Track(1000)
    expect(enter(track, 1000, 1001, 1003, 999)).toEqual([inOrder, inOrder, afterGap, late])
    expect([track.received, track.gaps]).toEqual([3, 1])
  })

  test('agrees with a model that remembers every message', () => {
    const random = seededRandom(11)
    const track = new Track()
    const seen = new Set<number>()
    let next = 0
    for (let n = 0; n < 50_000; n++) {
      // Mostly the next one; sometimes a jump ahead; sometimes something from the recent past.
      const dice = random()
      const back = Math.floor(random() * 200)
      const sequence = dice < 0.8 ? next : dice < 0.9 ? next + back : Math.max(0, next - back)
      const wasSeen = seen.has(sequence)
      const arrival = track.accept(sequence)
      if (wasSeen) expect(arrival).toBe(duplicate)
      else if (sequence < next) expect(arrival).toBe(late)
      else expect(arrival).toBe(sequence === next ? inOrder : afterGap)
      seen.add(sequence)
      next = Math.max(next, sequence + 1)
      expect(track.received).toBe(seen.size)
    }
  })
})

test('a ledger with expected publishers counts only their messages', () => {
  const ledger = new ExpectedLedger(5, 2)
  expect(ledger.track(1, 4)).toBeUndefined()
  expect(ledger.track(1, 5)).toBe(ledger.tracks[0])
  expect(ledger.track(1, 6)).toBe(ledger.tracks[1])
  expect(ledger.track(1, 7)).toBeUndefined()
})

test('a ledger without expected publishers separates publishers of two runs', () => {
  const ledger = new OpenLedger()
  const first = ledger.track(1, 0, 40)
  expect(first?.first).toBe(40)
  expect(ledger.track(2, 0, 0)).not.toBe(first)
  expect(ledger.track(1, 0, 41)).toBe(first)
  expect([...ledger.tracks]).toHaveLength(2)
})
