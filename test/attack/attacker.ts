/**
 * One connection of an attacker: bytes out, as they are; what comes is counted and thrown away. Nothing that the
 * node does to it is an error, being closed least of all.
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { WireDecoder, type PacketType } from '../kit/wire-decoder.ts'
import {
  encodeConnect,
  encodeDisconnect,
  encodePingreq,
  type ConnectFields,
} from '../kit/wire-encoder.ts'

const WAIT_MS = 120_000

export class Attacker implements AsyncDisposable {
  readonly socket: Socket
  /** Written so far. */
  bytes = 0
  #ended = false
  readonly #decoder = new WireDecoder()
  readonly #counts: Partial<Record<PacketType, number>> = {}
  #change: PromiseWithResolvers<void> = Promise.withResolvers()

  private constructor(socket: Socket, isMqtt: boolean) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
    socket.on('data', (chunk: Buffer) => {
      if (isMqtt)
        for (const { type } of this.#decoder.push(chunk))
          this.#counts[type] = (this.#counts[type] ?? 0) + 1
      this.#wake()
    })
  }

  /** Connected, or already ended. */
  static async open(
    port: number,
    { ca, isMqtt = true }: { readonly ca?: string; readonly isMqtt?: boolean } = {},
  ): Promise<Attacker> {
    const options = { port, host: '127.0.0.1' }
    const socket =
      ca === undefined
        ? connectTcp(options)
        : connectTls({ ...options, ca, servername: 'localhost' })
    const attacker = new Attacker(socket, isMqtt)
    let isOpen = false
    socket.once(ca === undefined ? 'connect' : 'secureConnect', () => {
      isOpen = true
      attacker.#wake()
    })
    await attacker.#until(() => isOpen)
    return attacker
  }

  /** Connected and let in, or ended. */
  static async connect(port: number, fields: ConnectFields): Promise<Attacker> {
    const attacker = await Attacker.open(port)
    attacker.send(encodeConnect(fields))
    await attacker.got('connack', 1)
    return attacker
  }

  get ended(): boolean {
    return this.#ended
  }

  send(...frames: readonly Uint8Array[]): void {
    if (this.#ended || frames.length === 0) return
    const bytes = Buffer.concat(frames)
    this.bytes += bytes.length
    this.socket.write(bytes)
  }

  count(type: PacketType): number {
    return this.#counts[type] ?? 0
  }

  /** Resolves when this number of packets of this type has arrived since it was opened, or the connection has ended. */
  got(type: PacketType, count: number): Promise<void> {
    return this.#until(() => this.count(type) >= count)
  }

  /** All that was sent has been read and dealt with, or the connection has ended. */
  settled(): Promise<void> {
    const answers = this.count('pingresp') + 1
    this.send(encodePingreq())
    return this.got('pingresp', answers)
  }

  end(): Promise<void> {
    return this.#until(() => false)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    this.socket.end(encodeDisconnect())
    this.socket.resume()
    const late = setTimeout(() => this.socket.destroy(), 1_000)
    await this.end()
    clearTimeout(late)
  }

  #wake(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }

  async #until(isTrue: () => boolean): Promise<void> {
    const late = setTimeout(() => this.socket.destroy(), WAIT_MS)
    while (!this.#ended && !isTrue()) await this.#change.promise
    clearTimeout(late)
  }
}
