/**
 * A WebSocket as the stream of bytes that MQTT is: where the messages of a client begin and end means nothing
 * [MQTT-6.0.0-4].
 *
 * In: binary messages. Out: for each write a binary message per MQTT packet (`packet`), because some clients wait
 * for the next message while they still have packets of the last one, or one for all of them (`batch`); either way
 * one write to the socket. Back-pressure in both directions is the socket's: a stream that is not read pauses it,
 * a write is done when the socket has taken it. Bounds: `maxPayload` of the server for one message, and `earlyBytesMax`
 * for one that has not ended, until the client is let in; `BUFFER_BYTES`.
 */
import { Duplex } from 'node:stream'
import type { WebSocketConfig } from '@breakwater/config'
import type { WebSocket } from 'ws'
import { StreamFault } from '../connection/stream-fault.ts'
import { frameHead, framePackets } from './websocket-frames.ts'

const BUFFER_BYTES = 65_536

export interface WebSocketStreamOptions {
  readonly frames: WebSocketConfig['frames']
  /** What may be there of a message before it has ended, until the client is let in. */
  readonly earlyBytesMax: number
}

type Done = (error?: Error | null) => void

export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket
  /** What is below it; whole frames are written past it, between its own. */
  readonly #transport: Duplex
  readonly #frames: WebSocketConfig['frames']
  readonly #earlyBytesMax: number
  /** Since the last message ended. */
  #earlyBytes = 0

  constructor(
    socket: WebSocket,
    transport: Duplex,
    { frames, earlyBytesMax }: WebSocketStreamOptions,
  ) {
    super({ highWaterMark: BUFFER_BYTES, allowHalfOpen: false })
    this.#socket = socket
    this.#transport = transport
    this.#frames = frames
    this.#earlyBytesMax = earlyBytesMax
    // Before what it completes is told as a message.
    transport.prependListener('data', this.#countEarly)
    socket.on('message', (data: Buffer, binary: boolean) => {
      this.#earlyBytes = 0
      // [MQTT-6.0.0-1]
      if (!binary) this.destroy(new StreamFault('protocol-violation', 'a text message'))
      else if (!this.push(data)) socket.pause()
    })
    socket.on('error', (error: Error & { code?: string }) => this.destroy(faultOf(error)))
    // What came before is read first: the end is behind it.
    socket.on('close', () => this.push(null))
  }

  /** The client may send messages of any size that the server takes. */
  letIn(): void {
    this.#transport.off('data', this.#countEarly)
  }

  readonly #countEarly = ({ length }: Buffer): void => {
    this.#earlyBytes += length
    if (this.#earlyBytes <= this.#earlyBytesMax) return
    const what = `a message of more than ${this.#earlyBytesMax} bytes before CONNACK`
    this.destroy(new StreamFault('packet-too-large', what))
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
