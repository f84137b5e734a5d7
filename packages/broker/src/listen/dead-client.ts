/**
 * Looks whether the client is still there before TLS begins. A connection may have waited in the kernel's queue
 * for longer than its client; a node that does the handshakes of those who have gone has no time for those who
 * have not, and never gets out of that.
 *
 * In: a socket that nobody reads. Out: `next`, with what was read in the socket again; or `gone`. Bounds: two
 * turns of the event loop, in which what the kernel has of the client is read.
 */
import type { Socket } from 'node:net'

export function passIfAlive(socket: Socket, next: () => void, gone: () => void): void {
  const chunks: Buffer[] = []
  let isGone = false
  const readable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk !== null) chunks.push(chunk)
  }
  const ended = (): void => {
    isGone = true
  }
  socket.on('readable', readable)
  socket.on('end', ended)
  socket.on('error', ended)
  // Its bytes are read in the first turn, its end in the one behind it.
  setImmediate(() =>
    setImmediate(() =>
      setImmediate(() => {
        socket.off('readable', readable)
        socket.off('end', ended)
        if (isGone || socket.destroyed) {
          gone()
          return
        }
        socket.off('error', ended)
        if (chunks.length > 0) socket.unshift(Buffer.concat(chunks))
        next()
      }),
    ),
  )
}
