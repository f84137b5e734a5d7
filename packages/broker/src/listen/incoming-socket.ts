/**
 * A socket on its way from accept to MQTT: through a PROXY header, TLS and a WebSocket, whichever its listener
 * has. It ends in one of two ways, exactly once: handed over, or refused with one reason.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AdmissionPermit, AdmissionCandidate } from '../admit/permit.ts'
import type { CloseReasonId } from '../connection/close-reason.ts'
import type { ProxyClaims } from './proxy-header.ts'

export type Refused = (peer: string, reason: CloseReasonId, detail: string) => void

export class IncomingSocket implements AdmissionCandidate {
  readonly socket: Socket
  /**
   * The uppermost stream so far. What ends is ended from the top: a socket that is destroyed under a TLS
   * callback takes the process with it.
   */
  stream: Duplex
  /** The client; behind a proxy, whom the proxy names. */
  peer: string
  /** A proxy has said whose address that is. */
  isNamed = false
  claims: ProxyClaims | undefined
  /** What was read so far and is not the client's. */
  headerBytes = 0
  /** What admission counts of it. */
  readonly permit: AdmissionPermit
  #refused: Refused | undefined
  #deadline: NodeJS.Timeout | undefined
  readonly #begin: (incoming: IncomingSocket) => void

  constructor(
    socket: Socket,
    permit: AdmissionPermit,
    refused: Refused,
    begin: (incoming: IncomingSocket) => void,
  ) {
    this.socket = socket
    this.stream = socket
    // A socket that is reset later has no address any more, so it is asked while it is new.
    this.peer = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`
    this.#refused = refused
    this.#begin = begin
    this.permit = permit
  }

  begin(): void {
    this.#begin(this)
  }

  /** Of `peer`, without its port. */
  get address(): string {
    return this.peer.slice(0, this.peer.lastIndexOf(':'))
  }

  /** Nothing of the client was read so far. */
  get isSilent(): boolean {
    return this.socket.bytesRead === this.headerBytes
  }

  shed(reason: CloseReasonId, detail: string): void {
    const refused = this.#refused
    this.handOver()
    refused?.(this.peer, reason, detail)
    // No TLS is on it yet, so it can be reset: that leaves nothing behind, here and in the kernel.
    this.socket.resetAndDestroy()
  }

  /** A step that has no deadline of its own begins. */
  within(ms: number, what: string): void {
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => this.refuse('handshake-timeout', what), ms).unref()
  }

  stepDone(): void {
    clearTimeout(this.#deadline)
  }

  refuse(reason: CloseReasonId, detail: string): void {
    const refused = this.#refused
    if (refused === undefined) return
    this.handOver()
    refused(this.peer, reason, detail)
    this.stream.destroy()
  }

  /** The peer has ended it: of one that was silent it was a health check. */
  lost(reason: CloseReasonId, detail: string): void {
    if (this.isSilent) this.refuse('health-check', 'nothing was sent')
    else this.refuse(reason, detail)
  }

  /** As `refuse`, behind an answer that is to leave first. */
  refuseWith(answer: string | Buffer, reason: CloseReasonId, detail: string): void {
    const refused = this.#refused
    if (refused === undefined) return
    this.handOver()
    refused(this.peer, reason, detail)
    const { stream } = this
    if (stream.writable) stream.end(answer, () => stream.destroy())
    else stream.destroy()
  }

  /** What becomes of it is somebody else's from here on. */
  handOver(): void {
    this.#refused = undefined
    clearTimeout(this.#deadline)
  }
}
