import { expect, it } from 'vitest'
import { HASHED_LEVELS_MAX, LevelHash } from './level-hash.ts'

const KEY = Int32Array.of(0x03020100, 0x07060504)

it('the level hash is HalfSipHash-1-3 over UTF-16 code units', () => {
  // The published vectors for the key 00..07 and the messages 00, 00 01, ... of even length.
  const vectors = [1477757078, -1135931856, 2114297510, -1610085531, 1467586993, -453365041]
  const hash = new LevelHash(KEY)
  for (const [units, expected] of vectors.entries()) {
    const codes = Array.from({ length: units }, (_, index) => ((index * 2 + 1) << 8) | (index * 2))
    expect(hash.update(String.fromCharCode(...codes))).toBe(1)
    expect(hash.levels[0]).toBe(expected)
  }
})

it('the level hash covers each level separately, empty levels included', () => {
  const hash = new LevelHash(KEY)
  const alone = ['', 'abc', 'é😀', '', 'x'].map((level) => {
    hash.update(level)
    return hash.levels[0]
  })
  expect(hash.update('/abc/é😀//x')).toBe(5)
  expect([...hash.levels.subarray(0, 5)]).toEqual(alone)
})

it('the level hash stops at the deepest level that a shape can name', () => {
  const hash = new LevelHash(KEY)
  expect(hash.update('/'.repeat(HASHED_LEVELS_MAX - 1))).toBe(HASHED_LEVELS_MAX)
  expect(hash.update('/'.repeat(HASHED_LEVELS_MAX))).toBe(HASHED_LEVELS_MAX + 1)
  expect(hash.update('/'.repeat(60_000))).toBe(HASHED_LEVELS_MAX + 1)
})

it('the level hash uses a random key', () => {
  const [one, other] = [new LevelHash(), new LevelHash()]
  const text = 'a/b/c/d'
  one.update(text)
  other.update(text)
  expect([...one.levels]).not.toEqual([...other.levels])
})
