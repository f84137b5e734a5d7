/**
 * Where control and data part: each frame of a connection goes to its side, in order.
 *
 * A frame waits while an earlier frame of the other kind still has effects under way, in both directions: a
 * PUBLISH behind a SUBSCRIBE, a SUBSCRIBE behind a PUBLISH that is being stored. Waiting means that the
 * connection is not read; nothing is queued here.
 */
import type { Limits } from '@breakwater/config'
import { closeReason, type CloseReasonId } from './connection/close-reason.ts'
import { REASON_OF_FAULT } from './connection/packet-fault.ts'
import type { Connection, FrameHandler } from './connection/connection.ts'
import { Hold } from './connection/hold.ts'
import type { ClientControl } from './control/client-control.ts'
import type { Events } from './observe/events.ts'
import {
  readConnect,
  type ConnectFrame,
  type ConnectLimits,
  type FrameReader,
  PacketType,
  readPacketId,
  readSubscribe,
  readUnsubscribe,
} from '@breakwater/mqtt'
import type { Session } from './session/session.ts'

const PINGRESP = Buffer.from([PacketType.PINGRESP << 4, 0])

export interface DispatchOptions {
  readonly events: Events
  readonly limits: Limits
  readonly connect: (connection: Connection, frame: ConnectFrame) => ClientControl
  readonly closed: (
    connection: Connection,
    control: ClientControl | undefined,
    reason: CloseReasonId,
    detail: string | undefined,
  ) => void
}

export class Dispatch implements FrameHandler {
  readonly #options: DispatchOptions
  readonly #connectLimits: ConnectLimits
  readonly #controls = new Map<Connection, ClientControl>()

  constructor(options: DispatchOptions) {
    this.#options = options
    this.#connectLimits = { ...options.limits, protocolLevelMax: 4 }
  }

  frame(connection: Connection, reader: FrameReader): boolean {
    const type = (reader.buffer[reader.start] as number) >> 4
    const control = this.#controls.get(connection)
    if (control === undefined) {
      this.#count(type)
      this.#first(connection, reader)
      return true
    }
    if (control.busy && type !== PacketType.PINGREQ) {
      connection.hold(Hold.CONTROL)
      return false
    }
    const session = control.session as Session
    if (isControl(type) && !session.lane.idle) {
      connection.hold(Hold.DATA)
      return false
    }
    this.#count(type)
    const fault = isControl(type)
      ? controlFrame(control, reader, type)
      : dataFrame(session, reader, type)
    if (fault !== undefined) connection.close(fault)
    else if (isControl(type) || type === PacketType.PINGREQ)
      control.rate.took(reader.end - reader.start)
    return true
  }

  refused(returnCode: number): void {
    this.#options.events.connackSent(returnCode)
  }

  closed(connection: Connection, reason: CloseReasonId, detail: string | undefined): void {
    const control = this.#controls.get(connection)
    this.#controls.delete(connection)
    control?.close()
    this.#options.closed(connection, control, reason, detail)
  }

  /** A CONNECT: the reader lets nothing else through before [MQTT-3.1.0-1]. */
  #first(connection: Connection, reader: FrameReader): void {
    const { buffer, start, body, end } = reader
    const frame = readConnect(buffer, body, end, this.#connectLimits)
    if (typeof frame === 'string') {
      // A return code can only be told to somebody who speaks MQTT.
      const reason = REASON_OF_FAULT[frame]
      if (closeReason(reason).connackCode !== undefined) connection.protocolLevel = 4
      connection.close(reason)
      return
    }
    // [MQTT-2.2.2-2]; MQTT 3.1 does not use these flags.
    if (frame.protocolLevel === 4 && ((buffer[start] as number) & 15) !== 0) {
      connection.close('malformed-packet')
      return
    }
    connection.connected(frame.protocolLevel)
    connection.keepAliveMs = frame.keepAliveS * 1_000
    const control = this.#options.connect(connection, frame)
    if (connection.open) this.#controls.set(connection, control)
    else control.close()
  }

  #count(type: number): void {
    this.#options.events.packetsIn[type]?.add(1)
  }
}

/** PINGREQ has no effects that anything could wait for. */
function isControl(type: number): boolean {
  return (
    type === PacketType.CONNECT ||
    type === PacketType.SUBSCRIBE ||
    type === PacketType.UNSUBSCRIBE ||
    type === PacketType.DISCONNECT
  )
}

function controlFrame(
  control: ClientControl,
  { buffer, body, end }: FrameReader,
  type: number,
): CloseReasonId | undefined {
  switch (type) {
    case PacketType.SUBSCRIBE: {
      const frame = readSubscribe(buffer, body, end, control.connection.protocolLevel)
      if (typeof frame === 'string') return REASON_OF_FAULT[frame]
      control.subscribe(frame)
      return undefined
    }
    case PacketType.UNSUBSCRIBE: {
      const frame = readUnsubscribe(buffer, body, end, control.connection.protocolLevel)
      if (typeof frame === 'string') return REASON_OF_FAULT[frame]
      control.unsubscribe(frame)
      return undefined
    }
    case PacketType.DISCONNECT:
      return body === end ? 'disconnected' : 'malformed-packet'
    default:
      // [MQTT-3.1.0-2]: a second CONNECT.
      return 'protocol-violation'
  }
}

function dataFrame(
  session: Session,
  { buffer, start, body, end }: FrameReader,
  type: number,
): CloseReasonId | undefined {
  if (type === PacketType.PUBLISH) return session.lane.publish(buffer, start, body, end)
  if (type === PacketType.PINGREQ) {
    if (body !== end) return 'malformed-packet'
    session.sink.frame(PINGRESP)
    return undefined
  }
  const packetId = end - body === 2 ? readPacketId(buffer, body, end) : 0
  if (packetId === 0) return 'malformed-packet'
  switch (type) {
    case PacketType.PUBACK:
      session.acknowledge('puback', packetId)
      return undefined
    case PacketType.PUBREC:
      session.acknowledge('pubrec', packetId)
      return undefined
    case PacketType.PUBCOMP:
      session.acknowledge('pubcomp', packetId)
      return undefined
    default:
      session.lane.release(packetId)
      return undefined
  }
}
