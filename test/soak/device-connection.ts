/**
 * One connection of one client: the socket, the codec, and a history line for each packet that matters. It
 * answers what it is sent after the client's delay, in the order in which it came [MQTT-4.6.0-2]; whether and
 * when is up to the device. A server that is silent for too long is left, as a client with keep-alive does.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { WireDecoder, type Packet, type Publish } from '../kit/wire-decoder.ts'
import {
  encodeConnect,
  encodeDisconnect,
  encodePingreq,
  encodePuback,
  encodePubcomp,
  encodePubrec,
  type ConnectFields,
} from '../kit/wire-encoder.ts'
import type { Recorder } from './history.ts'

export interface ConnectionOptions {
  readonly port: number
  /** PEM of the CA, for TLS. */
  readonly ca?: string
  /** Which process of which node, for the history. */
  readonly node: string
  readonly recorder: Recorder
  readonly clientId: string
  readonly clean: boolean
  readonly will?: { readonly topic: string; readonly message: string }
  readonly answerDelayMs: number
  readonly onPacket: (packet: Packet, connection: DeviceConnection) => void
  readonly onClosed: (connection: DeviceConnection) => void
}

interface WaitingAnswer {
  readonly dueAt: number
  readonly frame: Buffer
  readonly message: string
  readonly packetId: number
}

const CONNACK_TIMEOUT_MS = 3_000
const PING_INTERVAL_MS = 1_000
/** Longer than a node holds a publisher while Redis is away. */
const SILENCE_MAX_MS = 6_500
const KEEP_ALIVE_SECONDS = 10

export class DeviceConnection {
  readonly number: number
  readonly options: ConnectionOptions
  readonly #socket: Socket
  readonly #decoder = new WireDecoder()
  readonly #timer: NodeJS.Timeout
  #answers: WaitingAnswer[] = []
  #answerTimer: NodeJS.Timeout | undefined
  #holding = false
  #lastHeardAt = performance.now()
  #lastPingAt = performance.now()
  #accepted = false
  #endedByClient = false
  closed = false
  fault: Error | undefined

  constructor(options: ConnectionOptions) {
    this.options = options
    this.number = options.recorder.nextConnection()
    const address = { host: '127.0.0.1', port: options.port }
    this.#socket =
      options.ca === undefined
        ? connectTcp(address)
        : connectTls({ ...address, ca: options.ca, servername: 'localhost' })
    this.#socket.setNoDelay(true)
    this.#socket.once(options.ca === undefined ? 'connect' : 'secureConnect', () => this.#hello())
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    // The reason is of no interest: that it ended is.
    this.#socket.on('error', () => undefined)
    this.#socket.on('close', () => this.#end())
    this.#timer = setInterval(() => this.#watch(), PING_INTERVAL_MS / 2)
  }

  get accepted(): boolean {
    return this.#accepted && !this.closed
  }

  /** Answers that are due wait until it is let go. */
  set holding(hold: boolean) {
    this.#holding = hold
    if (!hold) this.#answerDue()
  }

  get answersWaiting(): number {
    return this.#answers.length
  }

  /** All that waits, at once. */
  answerNow(): void {
    const answers = this.#answers
    this.#answers = []
    for (const answer of answers) this.#answer(answer)
  }

  send(frame: Buffer): void {
    if (!this.closed) this.#socket.write(frame)
  }

  stopReading(): void {
    this.#socket.pause()
  }

  goOnReading(): void {
    this.#lastHeardAt = performance.now()
    this.#socket.resume()
  }

  disconnect(): void {
    this.#line('disconnect')
    this.#endedByClient = true
    this.send(encodeDisconnect())
    this.#socket.end()
  }

  drop(): void {
    this.#endedByClient = true
    this.#socket.destroy()
  }

  #hello(): void {
    const { clientId, clean, will, node, recorder } = this.options
    const fields: ConnectFields = {
      clientId,
      clean,
      keepAliveSeconds: KEEP_ALIVE_SECONDS,
      ...(will === undefined
        ? {}
        : { will: { topic: will.topic, payload: will.message, qos: 1, retain: false } }),
    }
    recorder.record({
      kind: 'connect',
      client: clientId,
      connection: this.number,
      node,
      clean,
      ...(will === undefined ? {} : { will: will.message, willTopic: will.topic }),
    })
    this.#socket.write(encodeConnect(fields))
  }

  #read(chunk: Buffer): void {
    this.#lastHeardAt = performance.now()
    let packets: Packet[]
    try {
      packets = this.#decoder.push(chunk)
    } catch (error) {
      this.fault = error as Error
      this.drop()
      return
    }
    for (const packet of packets) {
      if (packet.type === 'publish') this.#deliver(packet)
      else if (packet.type === 'pubrel') this.send(encodePubcomp(packet.packetId))
      else if (packet.type === 'connack') this.#accept(packet.returnCode, packet.sessionPresent)
      this.options.onPacket(packet, this)
    }
  }

  #accept(returnCode: number, sessionPresent: boolean): void {
    this.options.recorder.record({
      kind: 'connack',
      client: this.options.clientId,
      connection: this.number,
      returnCode,
      sessionPresent,
    })
    if (returnCode === 0) this.#accepted = true
    else this.drop()
  }

  #deliver({ payload, topic, qos, packetId, dup, retain }: Publish): void {
    const message = messageOf(payload)
    this.options.recorder.record({
      kind: 'delivered',
      client: this.options.clientId,
      connection: this.number,
      message,
      topic,
      qos,
      packetId,
      dup,
      retain,
    })
    if (qos === 0) return
    const frame = qos === 1 ? encodePuback(packetId) : encodePubrec(packetId)
    const dueAt = performance.now() + this.options.answerDelayMs
    this.#answers.push({ dueAt, frame, message, packetId })
    this.#answerDue()
  }

  #answerDue(): void {
    if (this.#holding || this.closed) return
    const now = performance.now()
    while (this.#answers[0] !== undefined && this.#answers[0].dueAt <= now)
      this.#answer(this.#answers.shift() as WaitingAnswer)
    const [next] = this.#answers
    if (next === undefined || this.#answerTimer !== undefined) return
    this.#answerTimer = setTimeout(() => {
      this.#answerTimer = undefined
      this.#answerDue()
    }, next.dueAt - now)
  }

  #answer({ frame, message, packetId }: WaitingAnswer): void {
    if (this.closed) return
    const { clientId: client, recorder } = this.options
    recorder.record({ kind: 'answer', client, connection: this.number, message, packetId })
    this.#socket.write(frame)
  }

  #watch(): void {
    const now = performance.now()
    const limitMs = this.#accepted ? SILENCE_MAX_MS : CONNACK_TIMEOUT_MS
    if (!this.#socket.isPaused() && now - this.#lastHeardAt > limitMs) this.drop()
    else if (this.#accepted && now - this.#lastPingAt >= PING_INTERVAL_MS) {
      this.#lastPingAt = now
      this.send(encodePingreq())
    }
  }

  #line(kind: 'disconnect'): void {
    const { clientId: client, recorder } = this.options
    recorder.record({ kind, client, connection: this.number })
  }

  #end(): void {
    if (this.closed) return
    this.closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#answerTimer)
    const { clientId: client, recorder, onClosed } = this.options
    const by = this.#endedByClient ? 'client' : 'broker'
    recorder.record({ kind: 'closed', client, connection: this.number, by })
    onClosed(this)
  }
}

/** A payload is the message's id, and what fills it up. */
function messageOf(payload: Buffer): string {
  const text = payload.toString()
  const end = text.indexOf(' ')
  return end === -1 ? text : text.slice(0, end)
}
