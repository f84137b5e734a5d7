/**
 * A client for floods: packets are handled as they come instead of waiting in a list, and reading can be
 * stopped, so that the broker finds its socket full. Nothing is acknowledged unless the handler does it.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { WireAddress } from '../kit/wire-client.ts'
import { WireDecoder, type Packet } from '../kit/wire-decoder.ts'
import { encodeConnect, type ConnectFields } from '../kit/wire-encoder.ts'

export type PacketHandler = (packet: Packet, flow: PacketFlow) => void

export class PacketFlow implements AsyncDisposable {
  readonly socket: Socket
  onPacket: PacketHandler
  readonly #decoder = new WireDecoder()
  readonly #waiting = new Set<() => void>()
  #closed = false
  #fault: Error | undefined

  private constructor(socket: Socket, onPacket: PacketHandler) {
    this.socket = socket
    this.onPacket = onPacket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => {
      this.#fault ??= error
    })
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  /** A connected socket; no CONNECT is sent. */
  static async open(address: WireAddress, onPacket: PacketHandler = () => {}): Promise<PacketFlow> {
    const socket = connect({ host: address.host, port: address.port })
    const flow = new PacketFlow(socket, onPacket)
    await once(socket, 'connect')
    return flow
  }

  /** An accepted client; `onPacket` gets what follows CONNACK. */
  static async connect(
    address: WireAddress,
    fields: ConnectFields,
    onPacket: PacketHandler = () => {},
  ): Promise<PacketFlow> {
    let returnCode: number | undefined
    const flow = await PacketFlow.open(address, (packet) => {
      if (packet.type !== 'connack') throw new Error(`${packet.type} before connack`)
      returnCode = packet.returnCode
      flow.onPacket = onPacket
    })
    flow.send(encodeConnect(fields))
    await flow.until(() => returnCode !== undefined, 'connack')
    if (returnCode !== 0) throw new Error(`CONNACK ${returnCode}`)
    return flow
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Writes these bytes, in one write. False: they wait on this side. */
  send(...frames: readonly Uint8Array[]): boolean {
    return this.socket.write(
      frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames),
    )
  }

  /** Reads nothing more; the broker's writes pile up. */
  stopReading(): void {
    this.socket.pause()
  }

  goOnReading(): void {
    this.socket.resume()
  }

  /** Looks again after each chunk that was read, and when the connection has ended. */
  async until(isSo: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!isSo()) {
      if (this.#closed) throw new Error(`closed while waiting for ${what}`, { cause: this.#fault })
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`${what}: not within ${timeoutMs} ms`)
      await this.#change(leftMs)
    }
  }

  async untilClosed(timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!this.#closed) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`still open after ${timeoutMs} ms`)
      await this.#change(leftMs)
    }
  }

  /** Ends the connection without DISCONNECT, at once. */
  async drop(): Promise<void> {
    this.socket.destroy()
    await this.untilClosed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drop()
  }

  #read(chunk: Buffer): void {
    try {
      for (const packet of this.#decoder.push(chunk)) this.onPacket(packet, this)
    } catch (error) {
      this.#fault ??= error as Error
      this.socket.destroy()
    }
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  async #change(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    const timer = setTimeout(resolve, timeoutMs)
    await promise
    clearTimeout(timer)
    this.#waiting.delete(resolve)
  }
}
