/**
 * One device: a socket from dial to close, and the MQTT client on it.
 *
 * dialing → securing (TLS) → connecting (CONNECT sent) → subscribing → ready → closed. Every way out passes through
 * `#close` exactly once and names its reason.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { AcknowledgementBatch } from './acknowledgement-batch.ts'
import { nowUs } from '../load/clock.ts'
import { describeEnd, describeSocketError } from '../measure/close-reason.ts'
import type { Dialer } from './dialer.ts'
import type { Meter } from '../measure/meter.ts'
import type { Endpoint } from '../command/options.ts'
import type { Publisher, PumpQueue } from './publisher.ts'
import type { Subscriber } from './subscriber.ts'
import { DISCONNECT, encodeConnect, encodeSubscribe, PINGREQ } from '../wire/encoder.ts'
import { FrameReader, type FrameSink } from '../wire/frame-reader.ts'
import { CONNACK_REFUSALS, PacketType, WireError, type Qos } from '../wire/packet.ts'

/** What all devices of a run share. */
export interface DeviceContext {
  readonly dialer: Dialer
  readonly meter: Meter
  readonly pumps: PumpQueue
  readonly acknowledgements: AcknowledgementBatch
  /** Every socket reads into this: it is used up before the next one is read. */
  readonly readBuffer: Buffer
  readonly onReady: (device: Device) => void
  readonly onClosed: (device: Device, reason: string, wasReady: boolean) => void
}

export interface DeviceOptions {
  readonly index: number
  readonly clientId: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly clean: boolean
  readonly keepAliveS: number
  readonly qos: Qos
  readonly publisher: Publisher | undefined
  readonly subscriber: Subscriber | undefined
}

type DeviceState =
  | 'idle'
  | 'dialing'
  | 'securing'
  | 'connecting'
  | 'subscribing'
  | 'ready'
  | 'closed'

const SUBSCRIBE_PACKET_ID = 65_535

export class Device implements FrameSink {
  readonly index: number
  readonly clientId: string
  readonly endpoint: Endpoint
  readonly publisher: Publisher | undefined
  readonly subscriber: Subscriber | undefined
  state: DeviceState = 'idle'
  /** When the current stage of connecting began. */
  stageUs = 0
  readonly #context: DeviceContext
  readonly #options: DeviceOptions
  readonly #reader: FrameReader = new FrameReader()
  #socket: Socket | undefined
  #dialedUs = 0
  #intendedUs = 0
  #readUs = 0
  #pingUs = 0 // of the last PINGREQ, at first of becoming ready
  #awaitsPong = false
  #leaving = false

  constructor(options: DeviceOptions, context: DeviceContext) {
    this.#options = options
    this.#context = context
    this.index = options.index
    this.clientId = options.clientId
    this.publisher = options.publisher
    this.subscriber = options.subscriber
    this.endpoint = context.dialer.endpoint(options.index)
  }

  /** When the device was dialed. */
  get dialedUs(): number {
    return this.#dialedUs
  }

  /** Starts to connect; `onReady` or `onClosed` follows. */
  connect(intendedUs: number): void {
    this.#intendedUs = intendedUs
    this.#dialedUs = nowUs()
    this.stageUs = this.#dialedUs
    this.state = 'dialing'
    const { dialer, meter, readBuffer } = this.#context
    const socket = dialer.open(this.endpoint, { buffer: readBuffer, callback: this.#onRead })
    this.#socket = socket
    socket.on('connect', () => {
      this.#endStage(meter.tcp)
      if (this.endpoint.secure) this.state = 'securing'
      else this.#sendConnect()
    })
    socket.on('secureConnect', () => {
      this.#endStage(meter.tls)
      this.#sendConnect()
    })
    socket.on('error', (error) => this.#close(describeSocketError(error, this.state)))
    socket.on('close', () => this.#close(describeEnd(this.state)))
  }

  /** Gives up, as on a time-out. */
  fail(reason: string): void {
    this.#close(reason)
  }

  /** Says DISCONNECT and closes; does not call `onClosed`. Resolves when the socket is closed. */
  async leave(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || socket.closed) return
    this.#leaving = true
    this.publisher?.attach(undefined)
    const closed = once(socket, 'close')
    if (this.state === 'ready') socket.end(DISCONNECT)
    else socket.destroy()
    this.state = 'closed'
    await closed
  }

  /** Ends what `leave` began, for a broker that does not close its side. */
  destroy(): void {
    this.#socket?.destroy()
  }

  /** Called every second. Pings twice per keep-alive, whatever else is sent: simple and enough. */
  keepAlive(now: number): void {
    const limitUs = this.#options.keepAliveS * 1_000_000
    if (this.state !== 'ready' || limitUs === 0) return
    if (this.#awaitsPong && now - this.#pingUs > limitUs) this.#close('no answer to PINGREQ')
    else if (!this.#awaitsPong && now - this.#pingUs > limitUs / 2) {
      this.#pingUs = now
      this.#awaitsPong = true
      this.#socket!.write(PINGREQ)
    }
  }

  onFrame(firstByte: number, bytes: Buffer, start: number, end: number): void {
    if (this.state === 'closed') return
    switch (firstByte >> 4) {
      case PacketType.publish:
        this.#onPublish(firstByte, bytes, start, end)
        return
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubrel:
      case PacketType.pubcomp:
        this.#onAcknowledgement((firstByte >> 4) as PacketType, bytes, start, end)
        return
      case PacketType.connack:
        this.#onConnack(bytes, start, end)
        return
      case PacketType.suback:
        this.#onSuback(bytes, start, end)
        return
      case PacketType.pingresp:
        this.#awaitsPong = false
        return
      default:
        throw new WireError(`unexpected packet type ${firstByte >> 4}`)
    }
  }

  #onRead = (length: number, bytes: Uint8Array): boolean => {
    const now = nowUs()
    this.#readUs = now
    try {
      this.#reader.push(bytes as Buffer, length, this)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#close(`malformed: ${error.message}`)
    }
    const { acknowledgements, pumps } = this.#context
    acknowledgements.flush(this.#socket!)
    pumps.drain(now)
    return true
  }

  #onPublish(firstByte: number, bytes: Buffer, start: number, end: number): void {
    if (this.subscriber === undefined) throw new WireError('PUBLISH without a subscription')
    const packetId = this.subscriber.receive(firstByte, bytes, start, end, this.#readUs)
    if (packetId === 0) return
    const type = (firstByte & 0x06) === 0x02 ? PacketType.puback : PacketType.pubrec
    this.#context.acknowledgements.add(this.#socket!, type, packetId)
  }

  #onAcknowledgement(type: PacketType, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 2) throw new WireError(`acknowledgement of ${end - start} bytes`)
    const packetId = (bytes[start]! << 8) | bytes[start + 1]!
    const { acknowledgements, pumps, meter } = this.#context
    if (type === PacketType.pubrel) {
      this.subscriber?.release(packetId)
      acknowledgements.add(this.#socket!, PacketType.pubcomp, packetId)
      return
    }
    const publisher = this.publisher
    if (publisher === undefined) {
      meter.strayAcknowledgements += 1
      return
    }
    if (publisher.acknowledge(type, packetId, this.#readUs)) {
      acknowledgements.add(this.#socket!, PacketType.pubrel, packetId)
    } else pumps.add(publisher)
  }

  #onConnack(bytes: Buffer, start: number, end: number): void {
    if (this.state !== 'connecting' || end - start !== 2) throw new WireError('CONNACK')
    const code = bytes[start + 1]!
    if (code !== 0) {
      this.#close(`refused: ${CONNACK_REFUSALS[code] ?? 'unknown reason'} (CONNACK ${code})`)
      return
    }
    this.#endStage(this.#context.meter.connack)
    if (this.subscriber === undefined) {
      this.#becomeReady()
      return
    }
    this.state = 'subscribing'
    const { qos } = this.#options
    this.#socket!.write(encodeSubscribe(SUBSCRIBE_PACKET_ID, this.subscriber.filter, qos))
  }

  #onSuback(bytes: Buffer, start: number, end: number): void {
    if (this.state !== 'subscribing' || end - start !== 3) throw new WireError('SUBACK')
    if (bytes[start + 2]! > 2) {
      this.#close(`subscription refused (SUBACK 0x${bytes[start + 2]!.toString(16)})`)
      return
    }
    this.#endStage(this.#context.meter.suback)
    this.#becomeReady()
  }

  #becomeReady(): void {
    this.state = 'ready'
    this.#pingUs = this.#readUs
    this.#context.meter.connect.record(this.#readUs - this.#intendedUs)
    this.publisher?.attach(this.#socket)
    this.#context.onReady(this)
  }

  #sendConnect(): void {
    this.state = 'connecting'
    this.#socket!.write(encodeConnect(this.#options))
  }

  #endStage(histogram: { record(valueUs: number): void }): void {
    const now = nowUs()
    histogram.record(now - this.stageUs)
    this.stageUs = now
  }

  #close(reason: string): void {
    if (this.state === 'closed' || this.#leaving) return
    const wasReady = this.state === 'ready'
    this.state = 'closed'
    this.publisher?.attach(undefined)
    this.#socket?.destroy()
    this.#context.onClosed(this, reason, wasReady)
  }
}
