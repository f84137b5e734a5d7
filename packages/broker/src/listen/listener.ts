/**
 * One listener: accepts sockets, reads a PROXY header, terminates TLS and WebSocket, hands over what can speak
 * MQTT.
 *
 * In: TCP connections. Out: `onStream`, with who it is. Bounds: `handshakeTimeoutMs` for each step. A peer that
 * fails one of them is counted and logged under one reason and never reaches MQTT.
 */
import {
  createServer as createTcpServer,
  type AddressInfo,
  type BlockList,
  type Server,
  type Socket,
} from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { blockListOf, type ListenerConfig } from '@breakwater/config'
import { networkOf } from '../admit/address-rate.ts'
import type { Admission } from '../admit/admission.ts'
import { PermitStage, type AdmissionPermit } from '../admit/permit.ts'
import {
  authorizationErrorOf,
  clientCertificateOf,
  type ClientCertificate,
} from '@breakwater/certificates'
import type { CloseReasonId } from '../connection/close-reason.ts'
import type { ByteStream } from '../connection/byte-stream.ts'
import { IncomingSocket, type Refused } from './incoming-socket.ts'
import { passIfAlive } from './dead-client.ts'
import { listenFault } from './listen-fault.ts'
import { isFromProxy, NOT_A_PROXY, readProxyProtocol, refuseStranger } from './proxy-protocol.ts'
import type { ProxyClaims } from './proxy-header.ts'
import { refuseCertificate } from './refused-certificate.ts'
import type { TlsKeeper } from './tls-keeper.ts'
import { WebSocketHandshake } from './websocket-handshake.ts'

/** Who is at the other end, as far as the listener knows. */
export interface PeerFacts {
  /** Address and port; of the client, also behind a proxy. */
  readonly peer: string
  /** The network of its address, where that is known to be the client's own. */
  readonly network: string | undefined
  readonly certificate: ClientCertificate | undefined
  /** It has sent nothing yet. */
  readonly isSilent: boolean
  /** What a proxy claims, for the log. Nothing is decided by it. */
  readonly claims: ProxyClaims | undefined
  /** What admission counts of it: who lets it in says so. */
  readonly permit: AdmissionPermit
}

export interface ListenerOptions {
  readonly config: ListenerConfig
  readonly admission: Admission
  /** The addresses of sockets are those of clients; those in a PROXY header are anyway. */
  readonly addressesAreReal: boolean
  /** For `mqtts` and `wss`. */
  readonly keeper: TlsKeeper | undefined
  readonly handshakeTimeoutMs: number
  readonly packetBytesMax: number
  readonly connectBytesMax: number
  /** A TCP connection, before anything was read. */
  readonly onAccept: () => void
  readonly onStream: (stream: ByteStream, facts: PeerFacts) => void
  readonly onHandshake: (kind: 'full' | 'resumed') => void
  readonly onHandshakeFailed: (peer: string, reason: CloseReasonId, detail: string) => void
  /** A CONNACK of the listener itself. */
  readonly onConnack: (code: number) => void
  /** Refused before or behind TLS. */
  readonly onRefused: (peer: string, reason: CloseReasonId, detail: string) => void
}

export interface Listener extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** `mqtts://127.0.0.1:8883` */
  readonly url: string
  /** Stops accepting; connections that are open stay. */
  stop(): void
}

const BACKLOG = 4_096
/** Of those that are no proxies where one is demanded, so many are waited for; others are refused at once. */
const STRANGERS_MAX = 64
/** Nothing is read of a socket before admission lets it begin. */
const SOCKET_OPTIONS = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
  pauseOnConnect: true,
} as const

/** Application protocols that clients may name in their ClientHello (IANA). */
const ALPN = { mqtts: ['mqtt'], wss: ['http/1.1'] } as const

/** @throws {ConfigError} the port is taken or the address is not this machine's */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { config } = options
  const steps = new SocketSteps(options)
  await listen(steps.server, config)
  const { port } = steps.server.address() as AddressInfo
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return {
    name: config.name,
    port,
    url: `${config.protocol}://${host}:${port}${config.webSocket?.path ?? ''}`,
    stop: () => steps.close(),
    async [Symbol.asyncDispose](): Promise<void> {
      steps.close()
      await Promise.all([...steps.raw].map(destroyed))
    },
  }
}

/** The steps of one listener, in order; each socket goes through those that the listener has. */
class SocketSteps {
  readonly server: Server
  /** Sockets that may still be on their way, to be ended with the listener. */
  readonly raw = new Set<Socket>()
  readonly #options: ListenerOptions
  readonly #incoming = new WeakMap<object, IncomingSocket>()
  /** Certificates of sockets between TLS and WebSocket. */
  readonly #certificates = new WeakMap<IncomingSocket, ClientCertificate>()
  readonly #proxies: BlockList | undefined
  readonly #tls: Server | undefined
  readonly #web: WebSocketHandshake | undefined
  #strangers = 0
  #closed = false

  constructor(options: ListenerOptions) {
    this.#options = options
    const { config, keeper, handshakeTimeoutMs, packetBytesMax, connectBytesMax } = options
    if (keeper !== undefined) this.#tls = this.#createTls(keeper)
    if (config.webSocket !== undefined)
      this.#web = new WebSocketHandshake({
        config: config.webSocket,
        packetBytesMax,
        connectBytesMax,
        timeoutMs: handshakeTimeoutMs,
        next: (incoming, stream) =>
          this.#handOver(incoming, stream, this.#certificates.get(incoming)),
      })
    this.#proxies = config.proxies === undefined ? undefined : blockListOf(config.proxies)
    this.server = createTcpServer(SOCKET_OPTIONS, (socket) => this.#accept(socket))
  }

  close(): void {
    this.#closed = true
    this.server.close()
  }

  #accept(socket: Socket): void {
    const { onAccept, admission } = this.#options
    onAccept()
    const incoming = this.#incomingAt(socket)
    const { permit } = incoming
    this.#incoming.set(socket, incoming)
    this.raw.add(socket)
    socket.once('close', () => {
      this.raw.delete(socket)
      permit.reach(PermitStage.GONE)
    })
    // It was reset while it waited in the kernel's queue: there is nobody to read from.
    if (socket.remoteAddress === undefined)
      incoming.lost('connection-lost', 'before it was accepted')
    else if (this.#proxies !== undefined && !isFromProxy(this.#proxies, socket))
      this.#refuseStranger(incoming)
    else admission.arrive(permit, incoming)
  }

  #refuseStranger(incoming: IncomingSocket): void {
    if (this.#strangers >= STRANGERS_MAX) {
      incoming.refuse('proxy-refused', NOT_A_PROXY)
      return
    }
    this.#strangers += 1
    incoming.socket.once('close', () => {
      this.#strangers -= 1
    })
    refuseStranger(incoming)
  }

  #incomingAt(socket: Socket): IncomingSocket {
    return new IncomingSocket(socket, this.#options.admission.permit(), this.#refused, this.#begin)
  }

  readonly #refused: Refused = (peer, reason, detail) => {
    // Sockets that the node itself ends look like peers that have gone.
    const isOwn = this.#closed && (reason === 'health-check' || reason === 'connection-lost')
    this.#options.onRefused(peer, isOwn ? 'shutting-down' : reason, detail)
  }

  readonly #begin = (incoming: IncomingSocket): void => {
    const { handshakeTimeoutMs } = this.#options
    if (this.#proxies === undefined) this.#limited(incoming)
    else readProxyProtocol(incoming, handshakeTimeoutMs, () => this.#limited(incoming))
  }

  /** By the rate of its address, where that is its own. */
  #limited(incoming: IncomingSocket): void {
    const network = this.#networkOf(incoming)
    if (network === undefined || this.#options.admission.takes(network)) this.#pass(incoming)
    else incoming.refuse('address-rate', network)
  }

  #networkOf({ address, isNamed }: IncomingSocket): string | undefined {
    const isReal = this.#proxies === undefined ? this.#options.addressesAreReal : isNamed
    return isReal ? networkOf(address) : undefined
  }

  #pass(incoming: IncomingSocket): void {
    const { socket } = incoming
    const tls = this.#tls
    if (tls !== undefined) {
      const secure = (): boolean => tls.emit('connection', socket)
      passIfAlive(socket, secure, () => this.#goneBeforeTls(incoming))
      return
    }
    socket.resume()
    if (this.#web === undefined) this.#handOver(incoming, socket, undefined)
    else this.#web.enter(incoming)
  }

  #goneBeforeTls(incoming: IncomingSocket): void {
    if (incoming.isSilent) {
      incoming.lost('connection-lost', 'before TLS')
      return
    }
    incoming.handOver()
    const reason = this.#closed ? 'shutting-down' : 'handshake-failed'
    this.#options.onHandshakeFailed(incoming.peer, reason, 'the client has gone before TLS')
    incoming.socket.destroy()
  }

  #createTls(keeper: TlsKeeper): Server {
    const { config, handshakeTimeoutMs } = this.#options
    const { clientAuth } = keeper.tls
    const server = createTlsServer({
      ...keeper.material.options,
      handshakeTimeout: handshakeTimeoutMs,
      ALPNProtocols: [...ALPN[config.protocol as 'mqtts' | 'wss']],
      requestCert: clientAuth !== 'none',
      // With `optional` the handshake goes on without one; what is shown is looked at all the same.
      rejectUnauthorized: clientAuth === 'required',
      SNICallback: (host, done) => done(null, keeper.material.contexts?.(host)),
    })
    keeper.serve(server)
    server.on('secureConnection', (socket) => this.#secured(keeper, socket))
    server.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
      this.#tlsFailed(error, socket)
    })
    return server
  }

  #secured(keeper: TlsKeeper, socket: TLSSocket): void {
    const incoming = this.#incomingOf(socket)
    incoming.stream = socket
    this.#options.onHandshake(socket.isSessionReused() ? 'resumed' : 'full')
    const { trust } = keeper.material
    const certificate =
      trust === undefined ? undefined : clientCertificateOf(socket, keeper.tls, trust, Date.now())
    if (typeof certificate === 'string') {
      socket.on('error', () => undefined)
      this.#refuseCertificate(incoming, socket, certificate)
    } else if (this.#web === undefined) {
      this.#handOver(incoming, socket, certificate)
    } else {
      if (certificate !== undefined) this.#certificates.set(incoming, certificate)
      this.#web.enter(incoming)
    }
  }

  /** What OpenSSL finds wrong ends at once: such a client is to get no ticket. */
  #refuseCertificate(incoming: IncomingSocket, socket: TLSSocket, why: string): void {
    if (authorizationErrorOf(socket) !== undefined) incoming.refuse('certificate-refused', why)
    else {
      const speaks = this.#web === undefined ? 'mqtt' : 'http'
      refuseCertificate(incoming, why, speaks, this.#options.onConnack)
    }
  }

  #tlsFailed(error: Error & { code?: string }, socket: TLSSocket): void {
    const incoming = this.#incomingOf(socket)
    incoming.stream = socket
    if (incoming.isSilent && error.code !== 'ERR_TLS_HANDSHAKE_TIMEOUT') {
      incoming.lost('connection-lost', 'before TLS')
      return
    }
    incoming.handOver()
    // Node ends a connection whose certificate is not good as if it had been reset.
    const certificate = authorizationErrorOf(socket)
    if (certificate !== undefined && !this.#closed)
      this.#options.onHandshakeFailed(incoming.peer, 'certificate-refused', certificate)
    else
      this.#options.onHandshakeFailed(
        incoming.peer,
        this.#reasonOf(error),
        error.code ?? error.message,
      )
    socket.destroy()
  }

  #reasonOf(error: { code?: string }): CloseReasonId {
    if (this.#closed) return 'shutting-down'
    if (error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return 'certificate-refused'
    return error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'handshake-timeout' : 'handshake-failed'
  }

  #incomingOf(socket: TLSSocket): IncomingSocket {
    const parent = (socket as { _parent?: object })._parent
    const known = parent === undefined ? undefined : this.#incoming.get(parent)
    return known ?? this.#incomingAt(socket)
  }

  #handOver(
    incoming: IncomingSocket,
    stream: ByteStream,
    certificate: ClientCertificate | undefined,
  ): void {
    const { peer, claims, permit } = incoming
    incoming.handOver()
    permit.reach(PermitStage.UNANSWERED)
    this.#incoming.delete(incoming.socket)
    this.#options.onStream(stream, {
      peer,
      network: this.#networkOf(incoming),
      certificate,
      isSilent: incoming.isSilent,
      claims,
      permit,
    })
  }
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
    socket.destroy()
  })
}

function listen(server: Server, config: ListenerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    // It stays: an error of a single accept, later, must not end the node.
    server.on('error', (error: Error & { code?: string }) => {
      reject(listenFault('BREAKWATER_LISTEN', config, error))
    })
    server.listen({ host: config.host, port: config.port, backlog: BACKLOG }, resolve)
  })
}
