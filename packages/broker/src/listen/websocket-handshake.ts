/**
 * HTTP in front of MQTT over WebSocket (MQTT 3.1.1, section 6): one path, the sub-protocol `mqtt`, pages of
 * the named origins. Anything else is answered in HTTP, counted, and closed.
 */
import { createServer, STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocketConfig } from '@breakwater/config'
import { WebSocketServer } from 'ws'
import type { IncomingSocket } from './incoming-socket.ts'
import { WebSocketStream } from './websocket-stream.ts'

/** [MQTT-6.0.0-3], and what clients of MQTT 3.1 name. */
const PROTOCOLS = ['mqtt', 'mqttv3.1']
/** A message may hold several packets; more than this beside the largest one it does not. */
const MESSAGE_ROOM_BYTES = 65_536

export interface WebSocketHandshakeOptions {
  readonly config: WebSocketConfig
  readonly packetBytesMax: number
  readonly connectBytesMax: number
  readonly timeoutMs: number
  readonly next: (incoming: IncomingSocket, stream: WebSocketStream) => void
}

export class WebSocketHandshake {
  readonly #options: WebSocketHandshakeOptions
  readonly #http = createServer()
  readonly #webSockets: WebSocketServer
  readonly #incoming = new WeakMap<Duplex, IncomingSocket>()

  constructor(options: WebSocketHandshakeOptions) {
    this.#options = options
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.packetBytesMax + MESSAGE_ROOM_BYTES,
      handleProtocols: (offered) => PROTOCOLS.find((one) => offered.has(one)) ?? false,
    })
    this.#http.on('request', ({ socket }: IncomingMessage) =>
      this.#refuse(socket, 426, 'a request that is not a WebSocket handshake'),
    )
    this.#http.on('clientError', (error: Error & { code?: string }, socket) => {
      const incoming = this.#incoming.get(socket)
      if (incoming?.isSilent === true) incoming.lost('connection-lost', 'before the WebSocket')
      else this.#refuse(socket, 400, error.code ?? error.message)
    })
    this.#http.on('upgrade', (request: IncomingMessage, socket, head) => {
      const refusal = refusalOf(request, options.config)
      if (refusal !== undefined) this.#refuse(socket, ...refusal)
      else
        this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          const incoming = this.#incoming.get(socket)
          if (incoming === undefined) return
          const { frames } = options.config
          const earlyBytesMax = options.connectBytesMax + MESSAGE_ROOM_BYTES
          const stream = new WebSocketStream(webSocket, socket, { frames, earlyBytesMax })
          options.next(incoming, stream)
        })
    })
    this.#webSockets.on('wsClientError', (error: Error, socket: Duplex) =>
      this.#refuse(socket, 400, error.message),
    )
  }

  /** A socket whose bytes are HTTP from here on. */
  enter(incoming: IncomingSocket): void {
    const { stream } = incoming
    this.#incoming.set(stream, incoming)
    incoming.within(this.#options.timeoutMs, 'WebSocket')
    stream.on('close', () => incoming.lost('connection-lost', 'before the WebSocket'))
    this.#http.emit('connection', stream)
  }

  #refuse(socket: Duplex, status: number, detail: string): void {
    socket.on('error', () => undefined)
    this.#incoming
      .get(socket)
      ?.refuseWith(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        'websocket-refused',
        detail,
      )
  }
}

function refusalOf(
  { url = '', headers }: IncomingMessage,
  { path, origins, localPagesOnly }: WebSocketConfig,
): [status: number, detail: string] | undefined {
  if (url.split('?', 1)[0] !== path) return [404, 'another path']
  const { origin } = headers
  // Only browsers send one: it says which page wants the connection, not who the client is.
  if (origins !== undefined && origin !== undefined && !origins.includes(origin))
    return [403, 'a page of another origin']
  if (localPagesOnly && origin !== undefined && !isLocalPage(origin))
    return [403, 'a page that is not of this machine: name it with origin=']
  const offered = headers['sec-websocket-protocol']?.split(',').map((one) => one.trim()) ?? []
  if (!PROTOCOLS.some((one) => offered.includes(one))) return [400, 'no sub-protocol mqtt']
  return undefined
}

const LOCAL_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** By the name in the origin, which the page does not choose; a file is of no host. */
function isLocalPage(origin: string): boolean {
  return URL.canParse(origin) && LOCAL_HOSTS.has(new URL(origin).hostname)
}
