/**
 * A WebSocket as the stream of bytes that MQTT is: where its messages begin and end means nothing
 * [MQTT-6.0.0-4].
 *
 * In: binary messages. Out: one binary message per write. Back-pressure in both directions is the socket's: a
 * stream that is not read pauses it, a write is done when the socket has taken it. Bounds: `maxPayload` of the
 * server for one message; `BUFFER_BYTES`.
 */
import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { StreamFault } from '../connection/stream-fault.ts'

const BUFFER_BYTES = 65_536

type Done = (error?: Error | null) => void

export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    super({ highWaterMark: BUFFER_BYTES, allowHalfOpen: false })
    this.#socket = socket
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
    if (socket.readyState === socket.OPEN) socket.send(chunk, { binary: true }, done)
    else done()
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
