import { expect, test } from 'vitest'
import { parseMosquittoHash } from './mosquitto-hash.ts'

/** As mosquitto_passwd 2.0.11 wrote them, of the password `sesame`. */
const LINES = {
  pbkdf2:
    '$7$101$B/lzCA7/aKYiLRu8$9h9YNJ1RXs4xi0U9i9R1fJqruQRbf4ud6M2BleyhWSqtig0a+F0lnAsAwcQdlkrkVwA1kLJZ9hHJl6YmSaemDA==',
  sha512:
    '$6$UteU/9gb3ebrGs5A$8aR2lTMTPchUK27T4qCl5W8S3GcUgObyobMBh2yLYV4vqvioy57IDzPUlR/VFOihjQxwz71vgTZIjRkG+NcH7Q==',
}

test.each(Object.entries(LINES))(
  'the hash %s accepts the right password and refuses others',
  async (_, line) => {
    const verify = parseMosquittoHash(line)
    expect(await verify?.(Buffer.from('sesame'))).toBe(true)
    expect(await verify?.(Buffer.from('Sesame'))).toBe(false)
    expect(await verify?.(Buffer.alloc(0))).toBe(false)
  },
)

test.each([
  '',
  'sesame',
  '$5$a$b',
  '$7$0$c2FsdA==$aGFzaA==',
  LINES.pbkdf2.replace('$101$', '$1e99$'),
  LINES.sha512.slice(0, -4),
])('%j is not a valid hash of mosquitto_passwd', (line) => {
  expect(parseMosquittoHash(line)).toBeUndefined()
})
