/**
 * What a server may send, decoded strictly: a byte that the standard does not allow from a server is a
 * `WireFault`, so that every suite that reads through this also checks what it is sent.
 */
import type { QoS } from './wire-encoder.ts'

export interface Connack {
  readonly type: 'connack'
  readonly sessionPresent: boolean
  readonly returnCode: number
}

export interface Publish {
  readonly type: 'publish'
  readonly dup: boolean
  readonly qos: QoS
  readonly retain: boolean
  readonly topic: string
  readonly topicBytes: Buffer
  /** 0 with QoS 0, which carries none. */
  readonly packetId: number
  readonly payload: Buffer
}

type AcknowledgementType = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' | 'unsuback'

/** One member per type, so that a packet can be picked by it. */
type Acknowledgement = {
  readonly [T in AcknowledgementType]: { readonly type: T; readonly packetId: number }
}[AcknowledgementType]

interface Suback {
  readonly type: 'suback'
  readonly packetId: number
  readonly returnCodes: readonly number[]
}

interface Pingresp {
  readonly type: 'pingresp'
}

export type Packet = Connack | Publish | Acknowledgement | Suback | Pingresp
export type PacketType = Packet['type']

/** The server sent something that no MQTT 3.1.1 server may send. */
class WireFault extends Error {
  override readonly name = 'WireFault'
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const ACKNOWLEDGEMENTS: Readonly<Record<number, AcknowledgementType>> = {
  0x40: 'puback',
  0x50: 'pubrec',
  0x62: 'pubrel',
  0x70: 'pubcomp',
  0xb0: 'unsuback',
}

export class WireDecoder {
  #pending: Buffer = Buffer.alloc(0)

  /** The packets that are whole now; the rest waits for more bytes. */
  push(chunk: Buffer): Packet[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    const packets: Packet[] = []
    for (;;) {
      const head = readLength(this.#pending)
      if (head === undefined || this.#pending.length < head.end + head.length) return packets
      const body = this.#pending.subarray(head.end, head.end + head.length)
      packets.push(decode(this.#pending.readUInt8(0), body))
      this.#pending = this.#pending.subarray(head.end + head.length)
    }
  }

  /** Bytes of a packet that has not come whole. */
  get pendingBytes(): number {
    return this.#pending.length
  }
}

/** Where the body starts and how long it is; undefined while the header is not whole. */
function readLength(bytes: Buffer): { end: number; length: number } | undefined {
  let length = 0
  for (let index = 1; index <= 4; index++) {
    const byte = bytes[index]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) * 128 ** (index - 1)
    if ((byte & 0x80) === 0) {
      // The shortest form is not demanded by 3.1.1, but no server has a reason for another one.
      if (byte === 0 && index > 1) throw new WireFault('a remaining length with a needless byte')
      return { end: index + 1, length }
    }
  }
  throw new WireFault('a remaining length of more than four bytes')
}

function decode(firstByte: number, body: Buffer): Packet {
  const acknowledgement = ACKNOWLEDGEMENTS[firstByte]
  if (acknowledgement) {
    wantLength(acknowledgement, body, 2)
    return { type: acknowledgement, packetId: readPacketId(acknowledgement, body, 0) }
  }
  if (firstByte >> 4 === 3) return decodePublish(firstByte, body)
  if (firstByte === 0x20) return decodeConnack(body)
  if (firstByte === 0x90) return decodeSuback(body)
  if (firstByte === 0xd0) {
    wantLength('pingresp', body, 0)
    return { type: 'pingresp' }
  }
  throw new WireFault(`first byte 0x${firstByte.toString(16)} from a server`)
}

function decodeConnack(body: Buffer): Connack {
  wantLength('connack', body, 2)
  const acknowledgeFlags = body.readUInt8(0)
  if (acknowledgeFlags > 1) throw new WireFault('CONNACK with reserved flags')
  const returnCode = body.readUInt8(1)
  if (returnCode > 5) throw new WireFault(`CONNACK with reserved return code ${returnCode}`)
  return { type: 'connack', sessionPresent: acknowledgeFlags === 1, returnCode }
}

function decodePublish(firstByte: number, body: Buffer): Publish {
  const qos = (firstByte >> 1) & 0x03
  if (qos === 3) throw new WireFault('PUBLISH with QoS 3')
  const dup = (firstByte & 0x08) !== 0
  if (dup && qos === 0) throw new WireFault('PUBLISH with QoS 0 and DUP')
  if (body.length < 2) throw new WireFault('PUBLISH without a topic')
  const topicEnd = 2 + body.readUInt16BE(0)
  const payloadStart = topicEnd + (qos > 0 ? 2 : 0)
  if (body.length < payloadStart) throw new WireFault('PUBLISH shorter than its header')
  const topicBytes = Buffer.from(body.subarray(2, topicEnd))
  const topic = readText('PUBLISH topic', topicBytes)
  if (topic === '' || /[+#\0]/.test(topic)) throw new WireFault(`PUBLISH to the topic «${topic}»`)
  return {
    type: 'publish',
    dup,
    qos: qos as QoS,
    retain: (firstByte & 0x01) !== 0,
    topic,
    topicBytes,
    packetId: qos > 0 ? readPacketId('publish', body, topicEnd) : 0,
    payload: Buffer.from(body.subarray(payloadStart)),
  }
}

function decodeSuback(body: Buffer): Suback {
  if (body.length < 3) throw new WireFault('SUBACK without a return code')
  const returnCodes = [...body.subarray(2)]
  for (const code of returnCodes) {
    // [MQTT-3.9.3-2]
    if (code > 2 && code !== 0x80) throw new WireFault(`SUBACK with reserved return code ${code}`)
  }
  return { type: 'suback', packetId: readPacketId('suback', body, 0), returnCodes }
}

function readPacketId(type: PacketType, body: Buffer, offset: number): number {
  const packetId = body.readUInt16BE(offset)
  if (packetId === 0) throw new WireFault(`${type} with packet id 0`)
  return packetId
}

function readText(what: string, bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new WireFault(`${what} is not UTF-8`, { cause })
  }
}

function wantLength(type: PacketType, body: Buffer, length: number): void {
  if (body.length !== length) {
    throw new WireFault(`${type} with ${body.length} bytes instead of ${length}`)
  }
}
