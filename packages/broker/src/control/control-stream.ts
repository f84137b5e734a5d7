import { Duplex } from 'node:stream'

/** Who stands behind the stream: one client's control side. */
export interface StreamOwner {
  /** The client id, which the client may have been given. */
  readonly clientId: string
  destroyed(error: Error | null): void
}

/**
 * What aedes takes for the client's socket: it reads control frames that were let through to it, one at a
 * time, and what it writes goes to `onFrame`, whole frames, not to the wire.
 */
export class ControlStream extends Duplex {
  readonly owner: StreamOwner
  readonly #onFrame: (frame: Buffer) => void

  constructor(owner: StreamOwner, onFrame: (frame: Buffer) => void) {
    super({ allowHalfOpen: false })
    this.owner = owner
    this.#onFrame = onFrame
  }

  override _read(): void {
    // Frames are pushed when they arrive.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#onFrame(chunk)
    done()
  }

  /** aedes writes a frame in pieces between `cork` and `uncork`: here they are one again. */
  override _writev(pieces: { chunk: Buffer }[], done: () => void): void {
    this.#onFrame(Buffer.concat(pieces.map(({ chunk }) => chunk)))
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.owner.destroyed(error)
    // The reason is with the connection; aedes would report the error a second time.
    done(null)
  }
}
