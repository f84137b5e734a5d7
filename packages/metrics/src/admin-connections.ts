/**
 * The connections of the admin server, so that those that do nothing cannot keep out a probe.
 *
 * In: sockets, and the requests on them. Out: whether a request is served; the close of the oldest connections
 * that have none under way, when there are too many. A connection is closed for want of room only two turns of
 * the event loop after the one that came: who has sent a request by then has its answer.
 *
 * Bounds: requests under way `connectionsMax`, of one address `connectionsPerAddressMax`; probes are answered
 * beyond both. Sockets: so many and PROBES_ROOM, of one address PROBES_ROOM_PER_ADDRESS.
 */
import type { Socket } from 'node:net'

export interface AdminBounds {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** Without a request. */
  readonly idleTimeoutMs: number
  /** From the first byte of a request to its last one. */
  readonly requestTimeoutMs: number
}

/** Of a server that is told nothing else. */
export const DEFAULT_BOUNDS: AdminBounds = {
  connectionsMax: 256,
  connectionsPerAddressMax: 64,
  idleTimeoutMs: 5_000,
  requestTimeoutMs: 5_000,
}

/** For connections that ask for a probe where everything else is in use: they are short. */
const PROBES_ROOM = 32
const PROBES_ROOM_PER_ADDRESS = 8
/** Of sockets that came in two turns, before the oldest make room. */
const BURST = 1_024

/** Why a connection was closed before its client wanted it, or a request was not served. */
export type AdminRefusal = 'full' | 'address-full' | 'burst' | 'slow' | 'malformed'

type Bounds = Pick<AdminBounds, 'connectionsMax' | 'connectionsPerAddressMax'>

interface Held {
  readonly address: string
  /** Requests under way that are no probes. */
  requests: number
  busy: number
}

export class AdminConnections {
  readonly #bounds: Bounds
  readonly #onRefused: (why: AdminRefusal) => void
  /** Those that have been without a request for longest come first. */
  readonly #held = new Map<Socket, Held>()
  #trimming = false

  constructor(bounds: Bounds, onRefused: (why: AdminRefusal) => void) {
    this.#bounds = bounds
    this.#onRefused = onRefused
  }

  get size(): number {
    return this.#held.size
  }

  /** Of sockets that the server may accept at all. */
  get socketsMax(): number {
    return this.#bounds.connectionsMax + PROBES_ROOM + BURST
  }

  add(socket: Socket): void {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    this.#held.set(socket, { address, requests: 0, busy: 0 })
    socket.once('close', () => this.#held.delete(socket))
    if (this.#trimming) return
    this.#trimming = true
    setImmediate(() => setImmediate(() => this.#trim()))
  }

  /** A request has begun; `ended` is to be called with its end. Undefined: there is no room for it. */
  begin(socket: Socket, isProbe: boolean): { readonly ended: () => void } | undefined {
    const held = this.#held.get(socket)
    if (held === undefined) return undefined
    const refusal = isProbe ? undefined : this.#refusal(held.address)
    if (refusal !== undefined) {
      this.#onRefused(refusal)
      return undefined
    }
    held.busy += 1
    if (!isProbe) held.requests += 1
    return {
      ended: () => {
        held.busy -= 1
        if (!isProbe) held.requests -= 1
        // Idle from now on, so last in the line of those that make room.
        if (held.busy === 0 && this.#held.delete(socket)) this.#held.set(socket, held)
      },
    }
  }

  #refusal(address: string): AdminRefusal | undefined {
    const { connectionsMax, connectionsPerAddressMax } = this.#bounds
    let all = 0
    let same = 0
    for (const held of this.#held.values()) {
      all += held.requests
      if (held.address === address) same += held.requests
    }
    if (same >= connectionsPerAddressMax) return 'address-full'
    return all >= connectionsMax ? 'full' : undefined
  }

  /** Of each address that has too many, then of all, the oldest idle ones go. */
  #trim(): void {
    this.#trimming = false
    const { connectionsMax, connectionsPerAddressMax } = this.#bounds
    const counts = new Map<string, number>()
    for (const { address } of this.#held.values())
      counts.set(address, (counts.get(address) ?? 0) + 1)
    const perAddressMax = connectionsPerAddressMax + PROBES_ROOM_PER_ADDRESS
    let rest = this.#held.size
    for (const [socket, { address, busy }] of this.#held) {
      const count = counts.get(address) ?? 0
      if (busy > 0 || count <= perAddressMax) continue
      counts.set(address, count - 1)
      rest -= 1
      this.#close(socket, 'address-full')
    }
    for (const [socket, { busy }] of this.#held) {
      if (rest <= connectionsMax + PROBES_ROOM) break
      if (busy > 0) continue
      rest -= 1
      this.#close(socket, 'full')
    }
  }

  #close(socket: Socket, why: AdminRefusal): void {
    this.#held.delete(socket)
    socket.destroy()
    this.#onRefused(why)
  }
}
