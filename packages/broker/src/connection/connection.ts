/**
 * One client connection, from the accepted (and decrypted) socket to its one close reason.
 *
 * In: bytes. Out: frames, one at a time, to the handler that the node gives it; frames of others through the
 * writer. A connection is *held* while something it has sent must take effect first: it is not read then,
 * which pushes back on the client, and the time does not count against its keep-alive. Bounds: those of the
 * reader and the writer; `connectTimeoutMs`, keep-alive and `stallTimeoutMs` by the sweep.
 */
import type { AdmissionPermit } from '../admit/permit.ts'
import type { ClientCertificate } from '@breakwater/certificates'
import type { Counter } from '@breakwater/metrics'
import { REASON_OF_FAULT } from './packet-fault.ts'
import type { ByteStream } from './byte-stream.ts'
import { Hold } from './hold.ts'
import { closeReason, type CloseReasonId } from './close-reason.ts'
import { FrameReader, type FrameBounds, encodeConnack, type ProtocolLevel } from '@breakwater/mqtt'
import { FrameWriter, PING_BYTES, type WriteBounds, type WriteCounters } from './frame-writer.ts'
import { readShared } from './shared-read-buffer.ts'
import { StreamFault } from './stream-fault.ts'
import type { TurnFlusher } from './turn-flusher.ts'

export interface FrameHandler {
  /** The reader's current frame. False: not now; hold was called and the same frame comes again. */
  frame(connection: Connection, reader: FrameReader): boolean
  /** A CONNACK was written that refuses the client; the end follows. */
  refused(returnCode: number): void
  /** Called once, when the connection has ended. */
  closed(connection: Connection, reason: CloseReasonId, detail: string | undefined): void
}

export interface ConnectionOptions {
  readonly id: number
  readonly listener: string
  readonly socket: ByteStream
  /** Address and port of the client. */
  readonly peer: string
  /** The network of the client's address, where that is known. */
  readonly network: string | undefined
  readonly certificate: ClientCertificate | undefined
  /** The client has sent nothing yet, no TLS either. */
  readonly isSilent: boolean
  readonly permit: Pick<AdmissionPermit, 'answered'>
  readonly frameBounds: FrameBounds
  readonly writeBounds: WriteBounds
  readonly counters: WriteCounters & { readonly bytesIn: Counter }
  readonly flusher: TurnFlusher
  readonly handler: FrameHandler
  readonly nowMs: number
}

/** Copies that the frames of one connection may make before everybody else has a turn. */
const QUEUED_PER_TURN = 16_384

export class Connection {
  readonly id: number
  readonly listener: string
  readonly peer: string
  readonly network: string | undefined
  /** What TLS has proved of the client. */
  readonly certificate: ClientCertificate | undefined
  readonly writer: FrameWriter
  /** 0 until CONNECT was read. */
  protocolLevel: 0 | ProtocolLevel = 0
  clientId = ''
  /** Who it is, once that is known; nobody in particular where clients are anonymous. */
  user = ''
  keepAliveMs = 0
  /** When it must end, ms since the epoch, because then something ends that let it in. */
  expiresAt: number | undefined
  expiryReason: CloseReasonId = 'login-expired'
  /** CONNACK was written: a return code can no longer be told. */
  answered = false
  readonly openedAt: number
  /** Last time that something was heard of the client, as the sweep saw it. */
  lastSeen: number
  /** Last time that more than a PINGREQ or its answer went through, as the sweep saw it. */
  lastActive: number
  /** Called when the write queue has room again after it was saturated or full. */
  onWritable: (() => void) | undefined
  /** Called once, when it is closed, by whoever waits for something on its behalf. */
  onClosed: (() => void) | undefined

  readonly #socket: ByteStream
  readonly #reader: FrameReader
  readonly #handler: FrameHandler
  readonly #flusher: TurnFlusher
  readonly #bytesIn: Counter
  readonly #permit: Pick<AdmissionPermit, 'answered'>
  #holds = 0
  #frameWaits = false
  #heard = true
  #silent: boolean
  #active = true
  #pumping = false
  #closing: CloseReasonId | undefined
  /** The peer ended the connection while it was held. */
  #gone: { readonly reason: CloseReasonId; readonly detail: string | undefined } | undefined
  /** Since when the socket has been full without taking anything; 0 if it is not. */
  #fullSince = 0
  #drainsSeen = 0

  constructor(options: ConnectionOptions) {
    const { socket } = options
    this.id = options.id
    this.listener = options.listener
    this.peer = options.peer
    this.network = options.network
    this.certificate = options.certificate
    this.openedAt = options.nowMs
    this.lastSeen = options.nowMs
    this.lastActive = options.nowMs
    this.#socket = socket
    this.#reader = new FrameReader(options.frameBounds)
    this.#handler = options.handler
    this.#flusher = options.flusher
    this.#permit = options.permit
    this.#silent = options.isSilent
    this.#bytesIn = options.counters.bytesIn
    this.writer = new FrameWriter(
      socket,
      options.flusher,
      options.writeBounds,
      options.counters,
      this,
    )
    connections.set(socket, this)
    readShared(socket, onData)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  /** What ends first counts. */
  expire(atMs: number, reason: CloseReasonId): void {
    if (this.expiresAt !== undefined && this.expiresAt <= atMs) return
    this.expiresAt = atMs
    this.expiryReason = reason
  }

  get open(): boolean {
    return this.#closing === undefined
  }

  get held(): boolean {
    return this.#holds !== 0
  }

  /** Its CONNECT is sound: it is asked whether it may come in. */
  connected(protocolLevel: ProtocolLevel): void {
    this.protocolLevel = protocolLevel
    this.#reader.connected(protocolLevel)
  }

  /** The client is let in: CONNACK was written. */
  letIn(): void {
    this.answered = true
    this.#permit.answered()
    this.#socket.letIn?.()
  }

  hold(why: number): void {
    if (this.#holds === 0) this.#socket.pause()
    this.#holds |= why
  }

  release(why: number): void {
    if ((this.#holds & why) === 0) return
    this.#holds &= ~why
    if (this.#holds !== 0 || !this.open) return
    this.#pump()
    if (this.#holds !== 0 || !this.open) return
    if (this.#gone === undefined) this.#socket.resume()
    else this.close(this.#gone.reason, this.#gone.detail)
  }

  /**
   * The peer has gone. What it sent before is dealt with first: over TLS its last bytes and its end arrive
   * together, also while the connection is held.
   */
  lost(reason: CloseReasonId, detail?: string): void {
    if (this.#silent && reason === 'connection-lost') this.close('health-check', detail)
    else if (this.#holds === 0) this.close(reason, detail)
    else this.#gone ??= { reason, detail }
  }

  /**
   * The only way out, exactly once: the first reason stays. What waits in the queue is written first, unless
   * the client is not taking anything anyway.
   */
  close(reason: CloseReasonId, detail?: string): void {
    if (this.#closing !== undefined) return
    this.#closing = reason
    const code = closeReason(reason).connackCode
    if (code !== undefined && !this.answered && this.protocolLevel !== 0) {
      this.writer.write(encodeConnack(code, false))
      this.#handler.refused(code)
    }
    this.#socket.resume()
    if (reason === 'stalled' || reason === 'queue-overflow' || this.writer.full) {
      this.#socket.destroy()
    } else {
      this.writer.flush()
      this.#socket.destroySoon()
    }
    this.writer.discard()
    this.onWritable = undefined
    this.onClosed?.()
    this.onClosed = undefined
    this.#handler.closed(this, reason, detail)
  }

  /** Ends a socket that is closing and whose peer does not take the last bytes. */
  destroy(): void {
    this.#socket.destroy()
  }

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  /** Called by the sweep; returns ms since the client was last heard. */
  silence(nowMs: number): number {
    this.activity(nowMs)
    if (this.#heard || this.#holds !== 0) {
      this.#heard = false
      this.lastSeen = nowMs
    }
    return nowMs - this.lastSeen
  }

  /** Brings `lastActive` up to date, and returns it. */
  activity(nowMs: number): number {
    if (this.#active || this.writer.active || this.#holds !== 0) {
      this.#active = false
      this.writer.active = false
      this.lastActive = nowMs
    }
    return this.lastActive
  }

  /** Called by the sweep; returns ms for which the socket has taken nothing. */
  stalledFor(nowMs: number): number {
    const { full, drains } = this.writer
    if (!full || drains !== this.#drainsSeen) this.#fullSince = full ? nowMs : 0
    else if (this.#fullSince === 0) this.#fullSince = nowMs
    this.#drainsSeen = drains
    return this.#fullSince === 0 ? 0 : nowMs - this.#fullSince
  }

  /** Bytes of the socket. */
  read(chunk: Buffer): void {
    this.#heard = true
    this.#silent = false
    if (chunk.length > PING_BYTES) this.#active = true
    this.#bytesIn.add(chunk.length)
    if (this.#closing !== undefined) return
    this.#reader.push(chunk)
    if (this.#holds === 0) this.#pump()
    this.#reader.keep(this.#frameWaits)
  }

  /** The write queue has been written out. */
  drained(): void {
    this.release(Hold.OUTBOUND)
    this.onWritable?.()
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    const reader = this.#reader
    const queuedMax = this.#flusher.queued + QUEUED_PER_TURN
    while (this.#holds === 0 && this.#closing === undefined) {
      // What a client sends before its CONNACK waits: nothing is collected for somebody unknown.
      if (this.protocolLevel !== 0 && !this.answered && reader.hasMore) {
        this.hold(Hold.CONTROL)
        break
      }
      if (!this.#frameWaits && !reader.next()) {
        if (reader.fault !== undefined)
          this.close(REASON_OF_FAULT[reader.fault], reader.faultDetail)
        break
      }
      this.#frameWaits = !this.#handler.frame(this, reader)
      if (this.writer.saturated && this.#closing === undefined) {
        this.hold(Hold.OUTBOUND)
      }
      if (this.#flusher.queued >= queuedMax && this.#closing === undefined) {
        this.hold(Hold.TURN)
        setImmediate(() => this.release(Hold.TURN))
      }
    }
    this.#pumping = false
  }
}

/** One listener of each kind for all connections: closures of their own would cost each of them. */
const connections = new WeakMap<ByteStream, Connection>()

function onData(this: ByteStream, chunk: Buffer): void {
  connections.get(this)?.read(chunk)
}

function onError(this: ByteStream, error: Error & { code?: string }): void {
  if (error instanceof StreamFault) {
    connections.get(this)?.lost(error.reason, error.message)
    return
  }
  // A reset is how many clients say goodbye; anything else is the network's fault.
  const reason = error.code === 'ECONNRESET' ? 'connection-lost' : 'socket-error'
  connections.get(this)?.lost(reason, error.code ?? error.message)
}

function onClose(this: ByteStream): void {
  connections.get(this)?.lost('connection-lost')
}
