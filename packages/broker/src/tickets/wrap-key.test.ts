import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { WrapKey } from './wrap-key.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-wrap-'))
afterAll(() => rmSync(directory, { recursive: true }))

function file(content: string | Buffer): string {
  const path = join(directory, randomBytes(4).toString('hex'))
  writeFileSync(path, content)
  return path
}

const bytes = randomBytes(32)
const secret = randomBytes(48)

describe('a ticket key under a wrap key', () => {
  const key = new WrapKey(bytes)

  it('is unwrapped unchanged, and each wrapped text is different', () => {
    const [one, other] = [key.wrap(secret, 'place'), key.wrap(secret, 'place')]
    expect(one).not.toBe(other)
    expect(key.unwrap(one, 'place')).toEqual(secret)
    expect(key.unwrap(other, 'place')).toEqual(secret)
    expect(Buffer.from(one, 'base64').includes(secret.subarray(0, 8))).toBe(false)
  })

  it('is not unwrapped with another wrap key, for another purpose, or after a modification', () => {
    const text = key.wrap(secret, 'place')
    expect(new WrapKey(randomBytes(32)).unwrap(text, 'place')).toBeUndefined()
    expect(key.unwrap(text, 'elsewhere')).toBeUndefined()
    const changed = Buffer.from(text, 'base64')
    for (let index = 0; index < changed.length; index += 1) {
      const copy = Buffer.from(changed)
      copy.writeUInt8(copy.readUInt8(index) ^ 1, index)
      expect(key.unwrap(copy.toString('base64'), 'place')).toBeUndefined()
    }
    for (const nothing of ['', 'AAAA', '?', 'A'.repeat(38)])
      expect(key.unwrap(nothing, 'place')).toBeUndefined()
  })
})

describe('the file of a wrap key', () => {
  it('holds 32 bytes, or a line of base64', () => {
    const text = new WrapKey(bytes).wrap(secret, 'p')
    for (const content of [bytes, bytes.toString('base64'), `${bytes.toString('base64')}\n`])
      expect(WrapKey.read(file(content)).unwrap(text, 'p')).toEqual(secret)
  })

  it.each([
    ['short', randomBytes(31)],
    ['long', randomBytes(48)],
    ['all zero', Buffer.alloc(32)],
    ['empty', ''],
  ])('is refused if it is %s', (_what, content) => {
    const path = file(content)
    expect(() => WrapKey.read(path)).toThrow(
      `BREAKWATER_TLS_TICKET_WRAP_KEY: ${path} is not 32 random bytes; make it with openssl rand -out FILE 32`,
    )
  })

  it('is named if it cannot be read', () => {
    expect(() => WrapKey.read(join(directory, 'none'))).toThrow(
      /^BREAKWATER_TLS_TICKET_WRAP_KEY: cannot read .*none \(ENOENT\)/,
    )
  })
})
