/**
 * A client that is nothing but a socket and a codec: what a test sends is what goes out, byte for byte,
 * and nothing is acknowledged, answered or retried unless the test says so. Everything that waits
 * has a time-out and says what it waited for.
 *
 * Absence is shown with a fence instead of a sleep: `expectSilence` sends a PINGREQ and wants its
 * PINGRESP to be the very next packet. That orders only what the server does for this connection. To
 * show that another client's message was not delivered, publish a second one behind it and want that
 * one to come first.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import {
  WireDecoder,
  type Connack,
  type Packet,
  type PacketType,
  type Publish,
} from './wire-decoder.ts'
import {
  encodeConnect,
  encodeDisconnect,
  encodePingreq,
  encodePuback,
  encodePubcomp,
  encodePublish,
  encodePubrec,
  encodePubrel,
  encodeSubscribe,
  encodeUnsubscribe,
  type ConnectFields,
  type PublishFields,
  type WireText,
} from './wire-encoder.ts'

export interface WireAddress {
  readonly host: string
  readonly port: number
  /** TLS if given, with these options (`ca`, `servername`, `cert`…); plain TCP otherwise. */
  readonly tls?: ConnectionOptions
}

export interface WireOptions {
  /** How long anything may be waited for. Default: 30,000. */
  readonly timeoutMs?: number
}

type PacketOf<T extends PacketType> = Extract<Packet, { readonly type: T }>

export class WireClient implements AsyncDisposable {
  readonly socket: Socket
  readonly #timeoutMs: number
  readonly #decoder = new WireDecoder()
  readonly #packets: Packet[] = []
  #closed = false
  #cause: Error | undefined
  #change: PromiseWithResolvers<void> = Promise.withResolvers()
  #lastPacketId = 0

  private constructor(socket: Socket, timeoutMs: number) {
    this.socket = socket
    this.#timeoutMs = timeoutMs
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => {
      this.#cause ??= error
    })
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  /** A connected socket (after the TLS handshake, if there is one); no CONNECT is sent. */
  static async open(address: WireAddress, options: WireOptions = {}): Promise<WireClient> {
    const { host, port, tls } = address
    const socket = tls ? connectTls({ host, port, ...tls }) : connectTcp({ host, port })
    const client = new WireClient(socket, options.timeoutMs ?? 30_000)
    let isOpen = false
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      isOpen = true
      client.#wake()
    })
    try {
      await client.#until(() => (isOpen ? true : undefined), `a connection to ${host}:${port}`)
    } catch (error) {
      socket.destroy()
      throw error
    }
    return client
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Writes these bytes, in one write. */
  send(...frames: readonly Uint8Array[]): void {
    const [first, ...others] = frames
    if (first) this.socket.write(others.length === 0 ? first : Buffer.concat(frames))
  }

  /** The next packet, whatever it is. */
  async next(what = 'a packet'): Promise<Packet> {
    return this.#until(() => this.#packets.shift(), what)
  }

  /** The next packet, which has to be of this type. */
  async expect<T extends PacketType>(type: T): Promise<PacketOf<T>> {
    const packet = await this.next(type)
    if (packet.type !== type) {
      throw new Error(`expected ${type}, received ${describePacket(packet)}`)
    }
    return packet as PacketOf<T>
  }

  /** The first packet of this type; others that came before it stay for `next`. */
  async take<T extends PacketType>(type: T): Promise<PacketOf<T>> {
    const packet = await this.#until(() => {
      const index = this.#packets.findIndex((candidate) => candidate.type === type)
      return index === -1 ? undefined : this.#packets.splice(index, 1)[0]
    }, type)
    return packet as PacketOf<T>
  }

  /** The server ends this connection, having sent nothing more. */
  async expectClosed(timeoutMs: number = this.#timeoutMs): Promise<void> {
    await this.#until(
      () => this.#closed || this.#packets.length > 0 || undefined,
      'the server to close',
      {
        timeoutMs,
        evenClosed: true,
      },
    )
    const [packet] = this.#packets
    if (packet) throw new Error(`expected the end, received ${describePacket(packet)}`)
  }

  /** Everything that comes until the server ends this connection. */
  async untilClosed(): Promise<Packet[]> {
    await this.#until(() => this.#closed || undefined, 'the server to close', { evenClosed: true })
    return this.#packets.splice(0)
  }

  /** Nothing has been sent here that was not read yet, and the connection is alive. */
  async expectSilence(): Promise<void> {
    this.send(encodePingreq())
    const packet = await this.next('pingresp, and nothing before it')
    if (packet.type !== 'pingresp') {
      throw new Error(`expected nothing, received ${describePacket(packet)}`)
    }
  }

  nextPacketId(): number {
    this.#lastPacketId = (this.#lastPacketId % 0xffff) + 1
    return this.#lastPacketId
  }

  async connect(fields: ConnectFields = {}): Promise<Connack> {
    this.send(encodeConnect(fields))
    return this.expect('connack')
  }

  /** Subscribes and gives the return codes; retained messages are left for `next`. */
  async subscribe(...filters: readonly (readonly [WireText, number])[]): Promise<number[]> {
    const packetId = this.nextPacketId()
    this.send(encodeSubscribe(packetId, filters))
    const suback = await this.take('suback')
    if (suback.packetId !== packetId) throw new Error(`SUBACK for ${suback.packetId}`)
    return [...suback.returnCodes]
  }

  async unsubscribe(...filters: readonly WireText[]): Promise<void> {
    const packetId = this.nextPacketId()
    this.send(encodeUnsubscribe(packetId, filters))
    const unsuback = await this.take('unsuback')
    if (unsuback.packetId !== packetId) throw new Error(`UNSUBACK for ${unsuback.packetId}`)
  }

  /** Publishes and sees the acknowledgement of its QoS through to the end. */
  async publish(fields: PublishFields): Promise<void> {
    const qos = fields.qos ?? 0
    if (qos === 0) return this.send(encodePublish(fields))
    const packetId = fields.packetId ?? this.nextPacketId()
    this.send(encodePublish({ ...fields, packetId }))
    if (qos === 1) return this.#acknowledged('puback', packetId)
    await this.#acknowledged('pubrec', packetId)
    this.send(encodePubrel(packetId))
    return this.#acknowledged('pubcomp', packetId)
  }

  async #acknowledged(type: 'puback' | 'pubrec' | 'pubcomp', packetId: number): Promise<void> {
    const packet = await this.take(type)
    if (packet.packetId !== packetId) throw new Error(`${type} for ${packet.packetId}`)
  }

  /** Reads this many messages, acknowledging each as its QoS demands, QoS 2 to the end. */
  async receive(count: number): Promise<Publish[]> {
    const messages: Publish[] = []
    const released = new Set<number>()
    while (messages.length < count || released.size > 0) {
      const packet = await this.next(
        messages.length < count ? `message ${messages.length + 1} of ${count}` : 'pubrel',
      )
      if (packet.type === 'publish' && messages.length < count) {
        messages.push(packet)
        if (packet.qos === 1) this.send(encodePuback(packet.packetId))
        if (packet.qos === 2) {
          released.add(packet.packetId)
          this.send(encodePubrec(packet.packetId))
        }
      } else if (packet.type === 'pubrel' && released.delete(packet.packetId)) {
        this.send(encodePubcomp(packet.packetId))
      } else {
        throw new Error(
          `expected message ${messages.length + 1} of ${count}, received ${describePacket(packet)}`,
        )
      }
    }
    return messages
  }

  /** Sends DISCONNECT and waits until the server has ended the connection. */
  async disconnect(): Promise<void> {
    this.send(encodeDisconnect())
    await this.untilClosed()
  }

  /** Ends the connection without DISCONNECT, as a device does that loses its network. */
  async drop(): Promise<void> {
    this.socket.destroy()
    await this.untilClosed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drop()
  }

  #read(chunk: Buffer): void {
    try {
      this.#packets.push(...this.#decoder.push(chunk))
    } catch (error) {
      this.#cause = error as Error
      this.socket.destroy()
    }
    this.#wake()
  }

  #wake(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }

  /** Waits until `find` finds something; the end of the connection ends the wait. */
  async #until<T>(
    find: () => T | undefined,
    what: string,
    options: { readonly timeoutMs?: number; readonly evenClosed?: boolean } = {},
  ): Promise<T> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (this.#closed && !options.evenClosed) {
        throw new Error(`closed while waiting for ${what}`, { cause: this.#cause })
      }
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`${what} did not come within ${timeoutMs} ms`)
      const timer = setTimeout(() => this.#wake(), leftMs)
      await this.#change.promise
      clearTimeout(timer)
    }
  }
}

/** One line that says which packet it is, for the message of a failure. */
function describePacket(packet: Packet): string {
  if (packet.type === 'connack') {
    return `connack ${packet.returnCode} (session present ${packet.sessionPresent})`
  }
  if (packet.type === 'publish') {
    const { packetId, topic, qos, payload } = packet
    return `publish ${packetId} to ${topic.slice(0, 80)}, QoS ${qos}, ${payload.length} bytes`
  }
  if (packet.type === 'suback') {
    return `suback ${packet.packetId} [${packet.returnCodes.join(' ')}]`
  }
  return packet.type === 'pingresp' ? packet.type : `${packet.type} ${packet.packetId}`
}
