/**
 * Reads DER (X.690): just enough for what Node does not tell of a certificate and for revocation lists, whose
 * size forbids an object per entry. In: bytes. Out: places in them. Throws `RangeError` where a length runs
 * over the end; no recursion, so nothing can nest too deep.
 */
export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  SEQUENCE: 0x30,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SET: 0x31,
  CONTEXT_0: 0xa0,
  CONTEXT_3: 0xa3,
} as const

/** One value: the whole is `bytes[start, end)`, its content `bytes[body, end)`. */
export interface DerValue {
  readonly tag: number
  readonly start: number
  readonly body: number
  readonly end: number
}

/** Values that follow each other inside one. */
export class DerReader {
  readonly #bytes: Buffer
  readonly #end: number
  #offset: number

  constructor(bytes: Buffer, within?: DerValue) {
    this.#bytes = bytes
    this.#offset = within?.body ?? 0
    this.#end = within?.end ?? bytes.length
  }

  get more(): boolean {
    return this.#offset < this.#end
  }

  /** The tag of the next value; 0 at the end. */
  get tag(): number {
    return this.more ? (this.#bytes[this.#offset] as number) : 0
  }

  next(): DerValue {
    const start = this.#offset
    if (start + 2 > this.#end) throw new RangeError('DER ends within a value')
    const tag = this.#bytes[start] as number
    let length = this.#bytes[start + 1] as number
    let body = start + 2
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets === 0 || octets > 4 || body + octets > this.#end)
        throw new RangeError('DER length that cannot be')
      length = this.#bytes.readUIntBE(body, octets)
      body += octets
    }
    const end = body + length
    if (end > this.#end) throw new RangeError('DER value longer than what holds it')
    this.#offset = end
    return { tag, start, body, end }
  }

  /** @throws {RangeError} another tag */
  expect(tag: number): DerValue {
    if (this.tag !== tag) throw new RangeError(`DER tag ${this.tag} where ${tag} belongs`)
    return this.next()
  }

  skip(tag: number): void {
    if (this.tag === tag) this.next()
  }
}

/** Unix time in ms of a UTCTime or GeneralizedTime (RFC 5280, section 4.1.2.5). */
export function readTime(bytes: Buffer, { tag, body, end }: DerValue): number {
  const text = bytes.toString('latin1', body, end)
  const short = tag === Tag.UTC_TIME
  const match = (short ? /^(\d\d)(\d{4})(\d{6})Z$/ : /^(\d{4})(\d{4})(\d{6})Z$/).exec(text)
  if (match === null) throw new RangeError('DER time that cannot be')
  const [, digits = '', date = '', clock = ''] = match
  const year = short ? (Number(digits) < 50 ? `20${digits}` : `19${digits}`) : digits
  const two = (part: string, at: number): string => part.slice(at, at + 2)
  return Date.parse(
    `${year}-${two(date, 0)}-${two(date, 2)}T${two(clock, 0)}:${two(clock, 2)}:${two(clock, 4)}Z`,
  )
}

/** A serial number as a map has it: hex digits without leading zeros. */
export function readSerial(bytes: Buffer, { body, end }: DerValue): string {
  return bytes.toString('hex', body, end).replace(/^0+(?=.)/, '')
}

/** An object identifier as it is encoded, in hex. */
export function readOid(bytes: Buffer, { body, end }: DerValue): string {
  return bytes.toString('hex', body, end)
}
