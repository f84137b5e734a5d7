/**
 * Reads of all sockets go into one buffer, as Node does for client sockets with `onread`. Without it each
 * read allocates 64 KiB, cuts it down, and passes through a readable stream (decision 0004).
 *
 * Node has no public way to ask this of an accepted socket. Where the private one is missing, `data` events
 * are used and everything works as before; so it is with what is no socket, such as a WebSocket.
 */
import type { ByteStream } from './byte-stream.ts'

const BYTES = 65_536
const shared = Buffer.allocUnsafeSlow(BYTES)

type OnRead = (this: ByteStream, bytes: Buffer) => void

interface Internals {
  _handle?: { useUserBuffer?: (buffer: Buffer) => void } | null
  [symbol: symbol]: unknown
}

/**
 * Calls `onRead` with what arrives. The bytes are valid only until it returns: whoever keeps some of them
 * copies them.
 */
export function readShared(socket: ByteStream, onRead: OnRead): void {
  const internals = socket as unknown as Internals
  const symbols = Object.getOwnPropertySymbols(socket)
  const buffer = symbols.find(({ description }) => description === 'kBuffer')
  const callback = symbols.find(({ description }) => description === 'kBufferCb')
  const handle = internals._handle
  if (buffer === undefined || callback === undefined || handle?.useUserBuffer === undefined) {
    socket.on('data', onRead)
    return
  }
  internals[buffer] = shared
  internals[callback] = function takeShared(this: ByteStream, length: number): void {
    onRead.call(this, shared.subarray(0, length))
  }
  handle.useUserBuffer(shared)
  // What was read before, if anything, is in the stream.
  const before = socket.read() as Buffer | null
  if (before !== null) onRead.call(socket, before)
  socket.resume()
}
