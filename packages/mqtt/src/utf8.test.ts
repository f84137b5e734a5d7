import { describe, expect, test } from 'vitest'
import { readUtf8 } from './utf8.ts'

const read = (...bytes: readonly number[]) => readUtf8(Buffer.from(bytes), 0, bytes.length)
const ascii = (length: number) => Array.from({ length }, (_, index) => 97 + (index % 26))

describe('well-formed UTF-8', () => {
  test.each([
    '',
    'a',
    'sensors/1/temperature',
    'é',
    'Ω≈ç√',
    '😀',
    '\u{10ffff}',
    '\u007f',
    '\ufffd',
  ])('«%s» is read unchanged', (text) => {
    const bytes = Buffer.from(`xx${text}yy`)
    expect(readUtf8(bytes, 2, bytes.length - 2)).toBe(text)
  })

  test('a byte order mark is kept as text [MQTT-1.5.3-3]', () => {
    expect(read(0xef, 0xbb, 0xbf, 0x61)).toBe('\ufeffa')
  })

  // Up to 64 bytes are looked at one by one, longer ones in one call.
  test.each([63, 64, 65, 300])('ASCII and other text of %i bytes are both read', (length) => {
    expect(read(...ascii(length))).toBe(String.fromCharCode(...ascii(length)))
    expect(read(...ascii(length - 2), 0xc3, 0xa9)).toBe(
      `${String.fromCharCode(...ascii(length - 2))}é`,
    )
  })
})

describe.each([0, 62, 63, 64, 200])('ill-formed UTF-8 after %i bytes of ASCII', (length) => {
  test.each([
    ['U+0000 [MQTT-1.5.3-2]', [0x00]],
    ['a surrogate U+D800 [MQTT-1.5.3-1]', [0xed, 0xa0, 0x80]],
    ['a surrogate U+DFFF [MQTT-1.5.3-1]', [0xed, 0xbf, 0xbf]],
    ['a pair of surrogates', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
    ['a continuation byte without its start', [0x80]],
    ['a truncated sequence', [0xe2, 0x82]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong NUL', [0xc0, 0x80]],
    ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['0xFF', [0xff]],
  ])('%s is refused', (_what, bytes) => {
    expect(read(...ascii(length), ...bytes)).toBeUndefined()
    expect(read(...ascii(length), ...bytes, 0x61)).toBeUndefined()
  })
})
