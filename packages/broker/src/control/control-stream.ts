import { EventEmitter } from 'node:events'

/** Who stands behind the stream: one client's control side. */
export interface StreamOwner {
  reply(frame: Buffer): void
  destroyed(error: Error | null): void
}

/**
 * What aedes takes for the client's socket. It reads the control frames that were let through to it, one at
 * a time; what it writes, in pieces, is put together to whole frames and never goes to the wire.
 *
 * No Duplex: its two states and their listeners would cost each connection a kilobyte, and aedes uses
 * nothing of them but what is here.
 */
export class ControlStream extends EventEmitter {
  readonly owner: StreamOwner
  destroyed = false
  #incoming: Buffer | null = null
  #outgoing: Buffer | null = null

  constructor(owner: StreamOwner) {
    super()
    this.owner = owner
  }

  /** Gives aedes a frame. */
  push(frame: Buffer): void {
    this.#incoming = frame
    this.emit('readable')
  }

  read(): Buffer | null {
    const frame = this.#incoming
    this.#incoming = null
    return frame
  }

  write(piece: Buffer | string): boolean {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    const outgoing = this.#outgoing === null ? bytes : Buffer.concat([this.#outgoing, bytes])
    // Replies of aedes are short: their remaining length is one byte.
    const complete = outgoing.length >= 2 && outgoing.length >= 2 + (outgoing[1] as number)
    this.#outgoing = complete ? null : outgoing
    if (complete) this.owner.reply(outgoing)
    return true
  }

  destroy(error?: Error): this {
    if (this.destroyed) return this
    this.destroyed = true
    this.owner.destroyed(error ?? null)
    return this
  }
}
