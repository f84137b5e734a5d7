/**
 * A WebSocket as the stream of bytes that MQTT is: where the messages of a client begin and end means nothing
 * [MQTT-6.0.0-4].
 *
 * In: binary messages. Out: for each write a binary message per MQTT packet (`packet`), because some clients wait
 * for the next message while they still have packets of the last one, or one for all of them (`batch`); either way
 * one write to the socket. Back-pressure in both directions is the socket's: a stream that is not read pauses it,
 * a write is done when the socket has taken it. Bounds: `maxPayload` of the server for one message;
 * `BUFFER_BYTES`.
 */
import { Duplex } from 'node:stream'
import type { WebSocketConfig } from '@breakwater/config'
import type { WebSocket } from 'ws'
import { StreamFault } from '../connection/stream-fault.ts'
import { frameHead, framePackets } from './websocket-frames.ts'

const BUFFER_BYTES = 65_536

type Done = (error?: Error | null) => void

export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket
  /** What is below it; whole frames are written past it, between its own. */
  readonly #transport: Duplex
  readonly #frames: WebSocketConfig['frames']

  constructor(socket: WebSocket, transport: Duplex, frames: WebSocketConfig['frames']) {
    super({ highWaterMark: BUFFER_BYTES, allowHalfOpen: false })
    this.#socket = socket
    this.#transport = transport
    this.#frames = frames
    socket.on('message', (data: Buffer, binary: boolean) => {
      // [MQTT-6.0.0-1]
      if (!binary) this.destroy(new StreamFault('protocol-violation', 'a text message'))
      else if (!this.push(data)) socket.pause()
    })
    socket.on('error', (error: Error & { code?: string }) => this.destroy(faultOf(error)))
    // What came before is read first: the end is behind it.
    socket.on('close', () => this.push(null))
  }

  /** As that of a socket: everything that was written leaves, then it is over. */
  destroySoon(): void {
    if (this.writableFinished) {
      this.destroy()
      return
    }
    this.once('finish', () => this.destroy())
    this.end()
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const socket = this.#socket
    // Towards a peer that has gone: the end follows from the other side.
    if (socket.readyState !== socket.OPEN || !this.#transport.writable) {
      done()
      return
    }
    const transport = this.#transport
    const framed = this.#frames === 'packet' ? framePackets(chunk) : undefined
    if (framed === undefined) {
      transport.cork()
      transport.write(frameHead(chunk.length))
      transport.write(chunk, done)
      transport.uncork()
    } else transport.write(framed, done)
  }

  override _final(done: Done): void {
    const socket = this.#socket
    if (socket.readyState === socket.CLOSED) {
      done()
      return
    }
    socket.once('close', () => done())
    socket.resume()
    socket.close()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.terminate()
    done(error)
  }
}

function faultOf(error: Error & { code?: string }): Error {
  if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
    return new StreamFault('packet-too-large', error.code)
  if (error.code?.startsWith('WS_ERR_') === true)
    return new StreamFault('malformed-packet', error.code)
  return error
}
