/**
 * One device of a storm: connects over TLS, subscribes to its own topic with a persistent session, publishes there
 * with QoS 1, and comes back when its connection is lost: with the TLS session of the last one, after a random
 * pause that grows, to another node. What was not acknowledged is sent again.
 */
import { randomInt } from 'node:crypto'
import { connect, type SecureContext, type TLSSocket } from 'node:tls'
import {
  Arrival,
  encodeAcknowledgement,
  encodeConnect,
  encodePublish,
  encodeSubscribe,
  FrameReader,
  nowUs,
  PacketType,
  PINGREQ,
  Track,
  type FrameSink,
} from '@breakwater/simulator'

/** What all devices of a crowd share, and what they tell it. */
export interface StormContext {
  readonly secureContext: SecureContext
  /** Where nodes are; those that are gone are taken out. */
  ports: readonly number[]
  onSecured(handshakeUs: number, isResumed: boolean): void
  onReady(device: StormDevice): void
  onLost(reason: string, wasReady: boolean): void
  /** A message of the device's own, for the first time. */
  onDelivered(device: StormDevice, latencyUs: number): void
}

const PAYLOAD_BYTES = 64
const DUP = 0x08
const PAUSE_MIN_MS = 1_000
const PAUSE_MAX_MS = 8_000
const KEEP_ALIVE_S = 60

export class StormDevice implements FrameSink {
  readonly clientId: string
  readonly track: Track = new Track()
  isReady = false
  /** Its connection was lost at least once. */
  wasLost = false
  /** When the connection that is not ready yet was dialed; 0 while there is none. */
  dialedUs = 0
  readySinceUs = 0
  sent = 0
  duplicates = 0
  readonly #context: StormContext
  readonly #unacknowledged = new Map<number, Buffer>()
  #port: number
  #socket: TLSSocket | undefined
  #session: Buffer | undefined
  #reader = new FrameReader()
  #failures = 0
  #pause: NodeJS.Timeout | undefined

  constructor(clientId: string, port: number, context: StormContext) {
    this.clientId = clientId
    this.#port = port
    this.#context = context
  }

  get unacknowledged(): number {
    return this.#unacknowledged.size
  }

  connect(): void {
    this.dialedUs = nowUs()
    this.#reader = new FrameReader()
    const { secureContext } = this.#context
    const session = this.#session === undefined ? {} : { session: this.#session }
    const socket = connect({ host: '127.0.0.1', port: this.#port, secureContext, ...session })
    this.#socket = socket
    let reason = 'closed'
    socket.setNoDelay(true)
    socket.on('secureConnect', () => {
      const isResumed = socket.isSessionReused()
      this.#context.onSecured(nowUs() - this.dialedUs, isResumed)
      const { clientId } = this
      socket.write(encodeConnect({ clientId, clean: false, keepAliveS: KEEP_ALIVE_S }))
    })
    socket.on('session', (ticket: Buffer) => {
      this.#session = ticket
    })
    socket.on('data', (chunk: Buffer) => this.#reader.push(chunk, chunk.length, this))
    socket.on('error', (error: Error & { code?: string }) => {
      reason = error.code ?? error.message
    })
    socket.on('close', () => this.#lost(socket, reason))
  }

  /** Publishes its next message; it was due at this time. */
  publish(dueUs: number): void {
    const payload = Buffer.alloc(PAYLOAD_BYTES)
    payload.writeUInt32BE(this.sent)
    payload.writeDoubleBE(dueUs, 4)
    const packetId = (this.sent % 0xffff) + 1
    this.sent += 1
    const frame = encodePublish({ topic: this.clientId, payload, qos: 1, packetId })
    this.#unacknowledged.set(packetId, frame)
    this.#socket?.write(frame)
  }

  ping(): void {
    if (this.isReady) this.#socket?.write(PINGREQ)
  }

  /** Gives up a connection that does not get ready. */
  giveUp(): void {
    this.#socket?.destroy(Object.assign(new Error('late'), { code: 'TIMEOUT' }))
  }

  /** For good. */
  leave(): void {
    clearTimeout(this.#pause)
    const socket = this.#socket
    this.#socket = undefined
    socket?.destroy()
  }

  onFrame(firstByte: number, bytes: Buffer, start: number, end: number): void {
    switch (firstByte >> 4) {
      case PacketType.connack:
        // Its session is where it was, with its subscription.
        if (bytes[start] === 1) this.#ready()
        else this.#socket?.write(encodeSubscribe(1, this.clientId, 1))
        return
      case PacketType.suback:
        this.#ready()
        return
      case PacketType.puback:
        this.#unacknowledged.delete(bytes.readUInt16BE(start))
        return
      case PacketType.publish:
        this.#receive(bytes, start, end)
        return
      default:
    }
  }

  #receive(bytes: Buffer, start: number, end: number): void {
    const packetId = bytes.readUInt16BE(start + 2 + bytes.readUInt16BE(start))
    this.#socket?.write(encodeAcknowledgement(PacketType.puback, packetId))
    const payload = end - PAYLOAD_BYTES
    if (this.track.accept(bytes.readUInt32BE(payload)) === Arrival.duplicate) this.duplicates += 1
    else this.#context.onDelivered(this, nowUs() - bytes.readDoubleBE(payload + 4))
  }

  #ready(): void {
    this.isReady = true
    this.dialedUs = 0
    this.readySinceUs = nowUs()
    this.#failures = 0
    for (const frame of this.#unacknowledged.values()) {
      frame[0] = (frame[0] as number) | DUP
      this.#socket?.write(frame)
    }
    this.#context.onReady(this)
  }

  #lost(socket: TLSSocket, reason: string): void {
    if (socket !== this.#socket) return
    const wasReady = this.isReady
    this.isReady = false
    this.dialedUs = 0
    if (wasReady) this.wasLost = true
    this.#context.onLost(reason, wasReady)
    const { ports } = this.#context
    this.#port = ports[randomInt(ports.length)] as number
    const longestMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** this.#failures)
    this.#failures += 1
    this.#pause = setTimeout(() => this.connect(), Math.random() * longestMs)
  }
}
