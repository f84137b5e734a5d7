import { describe, expect, it } from 'vitest'
import { boundedFacts } from './bounded-facts.ts'
import { boundedText } from './bounded-text.ts'

describe('text in a log line', () => {
  it.each(['', 'device-7', 'Zürich', '🚢'.repeat(16), 'x'.repeat(64)])(
    'is complete when it is short: %s',
    (text) => {
      expect(boundedText(text, 64)).toBe(text)
    },
  )

  it.each([
    ['ASCII', 'x'.repeat(65_000)],
    ['two bytes', 'é'.repeat(300)],
    ['three bytes', '漢'.repeat(300)],
    ['surrogate pairs', '🚢'.repeat(300)],
    ['surrogate pairs at an odd position', `x${'🚢'.repeat(300)}`],
    ['text that is longer when escaped', '\u0000'.repeat(200)],
  ])('is cut at its bound between two characters, and marked as cut (%s)', (_kind, text) => {
    for (const bytesMax of [64, 65, 66, 67, 256]) {
      const cut = boundedText(text, bytesMax)
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytesMax)
      expect(Buffer.byteLength(cut)).toBeGreaterThan(bytesMax - 10)
      expect(cut).toMatch(new RegExp(`… \\(${Buffer.byteLength(text)} bytes\\)$`))
      expect(cut.isWellFormed()).toBe(true)
      expect(cut).not.toContain('\ufffd')
    }
  })

  it('shows control characters escaped, which a terminal or log viewer would interpret', () => {
    const controls = [
      '\u001b',
      '\n',
      '\r',
      '\u0000',
      '\u007f',
      '\u009b',
      '\u2028',
      '\u202e',
      '\ufeff',
    ]
    for (const control of controls) {
      const shown = boundedText(`a${control}[2Jb`, 64)
      expect(shown).not.toContain(control)
      expect(shown).toMatch(/^a\\u[0-9a-f]{4}\[2Jb$/)
    }
    expect(boundedText('\ud800x', 64)).toBe('\ufffdx')
  })
})

describe('the fields of a log line', () => {
  const long = 'x'.repeat(1_000)
  const size = (facts: object): number => JSON.stringify(boundedFacts(facts, 64)).length

  it('contain no long text, at any depth and in any property', () => {
    expect(size({ a: long, b: [long, { c: long, [long]: 1 }] })).toBeLessThan(5 * 64 + 50)
    expect(size({ a: Array.from({ length: 100_000 }, () => long) })).toBeLessThan(70 * 70)
    let deep: unknown = long
    for (let depth = 0; depth < 10_000; depth += 1) deep = { deep }
    expect(size({ deep })).toBeLessThan(100)
    expect(boundedFacts({ payload: Buffer.alloc(1_000) }, 64)).toEqual({ payload: '1000 bytes' })
  })

  it('contain the message, code, stack and cause of an error, and no other properties', () => {
    const cause = new Error(long)
    const error = Object.assign(new TypeError(`${long}\n    at ${long}`, { cause }), {
      code: 'EPIPE',
      command: { args: [long, 'secret'] },
    })
    const text = JSON.stringify(boundedFacts({ err: error }, 64))
    expect(text).toContain('"type":"TypeError"')
    expect(text).toContain('"code":"EPIPE"')
    expect(text).toContain('bounded-text.test.ts')
    expect(text).toContain('"cause":{"type":"Error"')
    expect(text).not.toContain('secret')
    expect(text).not.toContain('x'.repeat(257))
  })

  it('keep numbers, dates, null and undefined unchanged', () => {
    const facts = { count: 3, from: new Date(0), nodeId: undefined, ok: true, none: null }
    expect(boundedFacts(facts, 64)).toEqual(facts)
  })
})
