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

describe('what is wrapped', () => {
  const key = new WrapKey(bytes)

  it('comes out as it went in, and is never the same text twice', () => {
    const [one, other] = [key.wrap(secret, 'place'), key.wrap(secret, 'place')]
    expect(one).not.toBe(other)
    expect(key.unwrap(one, 'place')).toEqual(secret)
    expect(key.unwrap(other, 'place')).toEqual(secret)
    expect(Buffer.from(one, 'base64').includes(secret.subarray(0, 8))).toBe(false)
  })

  it('does not come out with another key, at another place, or changed', () => {
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

describe('the file', () => {
  it('holds 32 bytes, or a line of base64', () => {
    const text = new WrapKey(bytes).wrap(secret, 'p')
    for (const content of [bytes, bytes.toString('base64'), `${bytes.toString('base64')}\n`])
      expect(WrapKey.read(file(content)).unwrap(text, 'p')).toEqual(secret)
  })

  it.each([
    ['short', randomBytes(31)],
    ['long', randomBytes(48)],
    ['no key', Buffer.alloc(32)],
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
