/**
 * A way from one client to whichever node it wants, that can be interrupted as networks are: packets of both
 * directions vanish while both ends believe in the connection, or only what the broker says vanishes.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export class Link implements AsyncDisposable {
  /** Where the next connection goes, on 127.0.0.1. */
  targetPort = 0
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #deaf: readonly Pair[] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(): Promise<Link> {
    const server = createServer()
    const link = new Link(server)
    server.on('connection', (near) => link.#join(near))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return link
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Nothing passes on the connections that are open now; new ones are not touched. */
  halfOpen(): void {
    for (const { near, far } of this.#pairs) {
      near.unpipe(far)
      far.unpipe(near)
      // Read, so that the sender believes it has arrived, and discarded.
      near.resume()
      far.resume()
    }
    this.#deaf = [...this.#pairs]
  }

  /** What the broker sends on the connections that are open now gets lost; what the client sends arrives. */
  loseReplies(): void {
    for (const { near, far } of this.#pairs) {
      far.unpipe(near)
      far.resume()
    }
    this.#deaf = [...this.#pairs]
  }

  /** The connections that were made deaf end: a connection cannot go on with a hole in it. */
  cutDeaf(): void {
    for (const { near, far } of this.#deaf) {
      near.destroy()
      far.destroy()
    }
    this.#deaf = []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const { near, far } of this.#pairs) {
      near.destroy()
      far.destroy()
    }
    await closed
  }

  #join(near: Socket): void {
    const far = connect({ host: '127.0.0.1', port: this.targetPort, noDelay: true })
    near.setNoDelay(true)
    const pair = { near, far }
    this.#pairs.add(pair)
    near.pipe(far)
    far.pipe(near)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        // What is on its way to the other side still arrives.
        if (socket.errored) other.destroy()
        else other.end()
        // No code reads it any more, and an end that is not read is not seen.
        other.resume()
        if (near.closed && far.closed) this.#pairs.delete(pair)
      })
    }
  }
}
