import { lengthBytes, writeLength } from './publish-frame.ts'
import { Property } from './property-table.ts'

/** Collects the properties of one packet of the server, in the order of the calls. */
export class PropertyWriter {
  readonly #parts: Buffer[] = []
  #length = 0

  byte(property: Property, value: number): this {
    return this.#add(Buffer.from([property, value]))
  }

  twoBytes(property: Property, value: number): this {
    return this.#add(Buffer.from([property, value >> 8, value & 255]))
  }

  fourBytes(property: Property, value: number): this {
    const part = Buffer.allocUnsafe(5)
    part[0] = property
    part.writeUInt32BE(value, 1)
    return this.#add(part)
  }

  text(property: Property, value: string): this {
    return this.binary(property, Buffer.from(value))
  }

  binary(property: Property, value: Buffer): this {
    return this.#add(Buffer.concat([Buffer.from([property]), prefixed(value)]))
  }

  userProperty(name: string, value: string): this {
    const texts = [prefixed(Buffer.from(name)), prefixed(Buffer.from(value))]
    return this.#add(Buffer.concat([Buffer.from([Property.USER_PROPERTY]), ...texts]))
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** With their length in front [MQTT-2.2.2-1]. */
  get bytes(): Buffer {
    const length = Buffer.allocUnsafe(lengthBytes(this.#length))
    writeLength(length, 0, this.#length)
    return Buffer.concat([length, ...this.#parts])
  }

  #add(part: Buffer): this {
    this.#parts.push(part)
    this.#length += part.length
    return this
  }
}

/** @throws {RangeError} more than 65,535 bytes */
function prefixed(bytes: Buffer): Buffer {
  const length = Buffer.allocUnsafe(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
