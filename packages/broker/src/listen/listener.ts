/**
 * One listener: accepts sockets, terminates TLS, hands over what can speak MQTT.
 *
 * In: TCP connections. Out: `onSocket`, after TLS where there is TLS. Bounds: `handshakeTimeoutMs`. A peer
 * that fails TLS is counted and logged under one reason and never reaches MQTT.
 */
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { ListenerConfig } from '@breakwater/config'
import type { CloseReasonId } from '../close-reason.ts'
import { listenFault } from './listen-fault.ts'

export interface ListenerOptions {
  readonly config: ListenerConfig
  /** Needed for `mqtts`. */
  readonly tls: TlsOptions | undefined
  readonly handshakeTimeoutMs: number
  /** A TCP connection, before TLS. */
  readonly onAccept: () => void
  readonly onSocket: (socket: Socket) => void
  readonly onHandshake: () => void
  readonly onHandshakeFailed: (peer: string, reason: CloseReasonId, detail: string) => void
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
const TCP_KEEP_ALIVE_MS = 60_000

/** @throws {ConfigError} the port is taken or the address is not this machine's */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { config } = options
  const state = { stopped: false }
  const server = config.protocol === 'mqtts' ? createTls(options, state) : createTcp(options)
  server.on('connection', options.onAccept)
  const handshaking = trackRawSockets(server, config.protocol === 'mqtts')
  await listen(server, config)
  const { port } = server.address() as AddressInfo
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return {
    name: config.name,
    port,
    url: `${config.protocol}://${host}:${port}`,
    stop: () => {
      state.stopped = true
      server.close()
    },
    async [Symbol.asyncDispose](): Promise<void> {
      state.stopped = true
      server.close()
      await Promise.all([...handshaking].map(destroyed))
    },
  }
}

function createTcp({ onSocket }: ListenerOptions): Server {
  return createTcpServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  }).on('connection', onSocket)
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve())
    socket.destroy()
  })
}

function createTls(options: ListenerOptions, state: { readonly stopped: boolean }): Server {
  const { onSocket, onHandshake, onHandshakeFailed } = options
  const server = createTlsServer({
    ...options.tls,
    handshakeTimeout: options.handshakeTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  })
  server.on('secureConnection', (socket) => {
    onHandshake()
    onSocket(socket)
  })
  server.on('tlsClientError', (error: Error & { code?: string }, socket: TLSSocket) => {
    onHandshakeFailed(peerOf(socket), reasonOf(error, state), error.code ?? error.message)
    socket.destroy()
  })
  return server
}

function reasonOf(error: { code?: string }, state: { readonly stopped: boolean }): CloseReasonId {
  if (state.stopped) return 'shutting-down'
  return error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'handshake-timeout' : 'handshake-failed'
}

const peers = new WeakMap<object, string>()

function peerOf(socket: TLSSocket): string {
  // A socket that was reset has no address any more; the raw one below it was asked when it was new.
  const parent = (socket as { _parent?: object })._parent
  return (
    (parent === undefined ? undefined : peers.get(parent)) ??
    `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`
  )
}

/** Sockets in their TLS handshake, to be ended with the listener. */
function trackRawSockets(server: Server, tls: boolean): ReadonlySet<Socket> {
  const raw = new Set<Socket>()
  if (!tls) return raw
  server.on('connection', (socket: Socket) => {
    peers.set(socket, `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`)
    raw.add(socket)
    socket.once('close', () => raw.delete(socket))
  })
  return raw
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
