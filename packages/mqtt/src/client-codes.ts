/**
 * PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH of MQTT 5 as clients send them: a reason code and properties,
 * both of which may be left out.
 */
import type { PacketFault } from './packet-fault.ts'
import { ABSENT, PropertyReader } from './property-reader.ts'
import { PropertyCarrier } from './property-table.ts'
import { isClientCode, type ClientCodes } from './reason-code.ts'

/** A packet is read in one go: one for all. */
const reader = new PropertyReader()
const PACKET_ID_BYTES = 2

/** The reason code of an acknowledgement, from its packet id on; what is no code of it says what is wrong. */
export function readAnswerCode(
  buffer: Buffer,
  start: number,
  end: number,
  carrier: PropertyCarrier,
): number | PacketFault {
  const codes =
    carrier === PropertyCarrier.PUBACK || carrier === PropertyCarrier.PUBREC ? 'publish' : 'release'
  if (start + PACKET_ID_BYTES > end) return 'malformed'
  return readCode(buffer, start + PACKET_ID_BYTES, end, carrier, codes)
}

export interface DisconnectFrame {
  readonly code: number
  /** Undefined: as it was. */
  readonly sessionExpiryS: number | undefined
}

export function readDisconnect(
  buffer: Buffer,
  start: number,
  end: number,
): DisconnectFrame | PacketFault {
  const code = readCode(buffer, start, end, PropertyCarrier.DISCONNECT, 'disconnect')
  if (typeof code === 'string') return code
  const { sessionExpiryS } = reader
  return { code, sessionExpiryS: sessionExpiryS === ABSENT ? undefined : sessionExpiryS }
}

export interface AuthFrame {
  readonly code: number
  readonly method: string
  /** A copy. */
  readonly data: Buffer | undefined
}

/** Without a method it is a protocol error [MQTT 5, section 3.15.2.2.2]. */
export function readAuth(buffer: Buffer, start: number, end: number): AuthFrame | PacketFault {
  const code = readCode(buffer, start, end, PropertyCarrier.AUTH, 'auth')
  if (typeof code === 'string') return code
  const method = reader.authenticationMethod
  if (method === undefined) return 'protocol-error'
  return { code, method, data: reader.authenticationData }
}

function readCode(
  buffer: Buffer,
  start: number,
  end: number,
  carrier: PropertyCarrier,
  codes: ClientCodes,
): number | PacketFault {
  const propertiesAt = start + 1
  if (propertiesAt >= end) {
    reader.read(NONE, 0, NONE.length, carrier)
    if (start === end) return isClientCode(codes, 0) ? 0 : 'malformed'
  } else {
    const fault = reader.read(buffer, propertiesAt, end, carrier)
    if (fault !== undefined) return fault
    if (reader.end !== end) return 'malformed'
  }
  const code = buffer[start] as number
  return isClientCode(codes, code) ? code : 'malformed'
}

/** Of a packet that leaves them out. */
const NONE = Buffer.from([0])
