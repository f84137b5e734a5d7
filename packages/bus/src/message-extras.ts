/**
 * What a message of MQTT 5 has beside topic and payload, in the form that frames have (frame.ts):
 *
 *   u8 which (bit 0 expires, bit 1 properties) · [u48 expires at] · [u32 property bytes · properties]
 */
import { EnvelopeError } from './envelope.ts'
import { EXPIRES, EXTRAS_BYTES_MAX, NUMBER_BYTES, PROPERTIES } from './frame-form.ts'
import type { Message } from './message.ts'

const LENGTH_BYTES = 4

export function hasExtras({ properties, expiresAt }: Message): boolean {
  return properties !== undefined || expiresAt !== undefined
}

export function extrasBytesMax({ properties }: Message): number {
  return EXTRAS_BYTES_MAX + (properties?.length ?? 0)
}

/** Returns the offset behind them. */
export function writeExtras(buffer: Buffer, message: Message, start: number): number {
  const { properties, expiresAt } = message
  let which = 0
  let offset = start + 1
  if (expiresAt !== undefined) {
    which = EXPIRES
    offset = buffer.writeUIntBE(expiresAt, offset, NUMBER_BYTES)
  }
  if (properties !== undefined) {
    which |= PROPERTIES
    offset = buffer.writeUInt32BE(properties.length, offset)
    buffer.set(properties, offset)
    offset += properties.length
  }
  buffer[start] = which
  return offset
}

export interface Extras {
  readonly properties: Buffer | undefined
  readonly expiresAt: number | undefined
  /** Behind them. */
  readonly end: number
}

/** The properties are a slice of the buffer. @throws {EnvelopeError} unknown, or reaching behind `limit` */
export function readExtras(buffer: Buffer, start: number, limit: number): Extras {
  let end = start + 1
  const take = (bytes: number): number => {
    const from = end
    end += bytes
    if (end > limit) throw new EnvelopeError('truncated extras')
    return from
  }
  if (end > limit) throw new EnvelopeError('truncated extras')
  const which = buffer[start] as number
  if (which === 0 || which > (EXPIRES | PROPERTIES))
    throw new EnvelopeError(`extras of unknown kind ${which}`)
  const expiresAt =
    which & EXPIRES ? buffer.readUIntBE(take(NUMBER_BYTES), NUMBER_BYTES) : undefined
  if ((which & PROPERTIES) === 0) return { properties: undefined, expiresAt, end }
  const propertiesAt = take(buffer.readUInt32BE(take(LENGTH_BYTES)))
  return { properties: buffer.subarray(propertiesAt, end), expiresAt, end }
}
