/**
 * The admin server of a node: what Prometheus scrapes and what Kubernetes probes.
 *
 * It shares the event loop with the data plane, so it is bounded everywhere: few connections, small
 * headers, short time-outs, no request bodies. Probes answer from what the node knows already and
 * never wait for Redis; they have room of their own (`admin-connections.ts`). Bounds are those given and the
 * constants below; over a bound, the connection is closed.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import {
  AdminConnections,
  DEFAULT_BOUNDS,
  type AdminBounds,
  type AdminRefusal,
} from './admin-connections.ts'
import type { MetricsPage } from './instruments.ts'

/** Request line and headers. */
const HEADER_BYTES_MAX = 8 * 1_024
const RESPONSE_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 1_000
const CLOSE_TIMEOUT_MS = 1_000

export interface CheckResult {
  readonly ok: boolean
  /** One line for the person who reads the probe: what is missing, or that nothing is. */
  readonly detail: string
}

/** Answers everything at `prefix` and below it, any method: the place for `/api/v1`. */
export interface AdminRoute {
  readonly prefix: string
  handle(request: IncomingMessage, response: ServerResponse): void | Promise<void>
}

export interface AdminServerOptions {
  readonly host: string
  readonly port: number
  livez(): CheckResult
  readyz(): CheckResult
  startupz(): CheckResult
  render(): Promise<MetricsPage>
  readonly routes?: readonly AdminRoute[]
  /** Default: `DEFAULT_BOUNDS`. */
  readonly bounds?: AdminBounds
  /** A connection, or a request, that was turned away. */
  readonly onRefused?: (why: AdminRefusal) => void
}

export interface AdminServer extends AsyncDisposable {
  readonly address: string
  readonly port: number
  readonly connections: number
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** Rejects with the system's error code (`EADDRINUSE`, `EACCES`, ...) where it cannot listen. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { routes = [], bounds = DEFAULT_BOUNDS, onRefused = () => undefined } = options
  const probes: Partial<Record<string, () => Answer>> = {
    '/livez': () => probe(options.livez()),
    '/readyz': () => probe(options.readyz()),
    '/startupz': () => probe(options.startupz()),
  }
  const pages: Partial<Record<string, () => Answer | Promise<Answer>>> = {
    '/metrics': async () => ({ status: 200, ...(await options.render()) }),
    ...probes,
  }
  const connections = new AdminConnections(bounds, onRefused)

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? ''
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined
    const route = routes.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))
    const room = connections.begin(request.socket, Object.hasOwn(probes, path))
    if (room === undefined) {
      response.setHeader('connection', 'close').setHeader('retry-after', '1')
      return send(response, busy(route !== undefined))
    }
    response.once('close', room.ended)
    if (page === undefined && route !== undefined) return route.handle(request, response)
    if (page === undefined) return send(response, text(404, 'not found'))
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      // Whatever body comes with it is not worth reading.
      response.setHeader('allow', 'GET, HEAD').setHeader('connection', 'close')
      return send(response, text(405, 'method not allowed'))
    }
    send(response, await page())
  }

  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: bounds.requestTimeoutMs,
      requestTimeout: bounds.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, bounds.requestTimeoutMs),
      keepAliveTimeout: bounds.idleTimeoutMs,
      keepAliveTimeoutBuffer: 0,
    },
    (request, response) => {
      serve(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy()
        else send(response, text(500, error instanceof Error ? error.message : 'internal error'))
      })
    },
  )
  server.maxConnections = connections.socketsMax
  server.timeout = RESPONSE_TIMEOUT_MS
  server.on('drop', () => onRefused('burst'))
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    closeIfSilent(socket, bounds.idleTimeoutMs)
  })
  server.on('clientError', (error: Error & { readonly code?: string }, socket: Socket) => {
    refuse(error.code ?? '', socket, onRefused)
  })
  await listen(server, options.host, options.port)
  const { address, port } = server.address() as AddressInfo

  let closed: Promise<void> | undefined
  return {
    address,
    port,
    get connections(): number {
      return connections.size
    },
    [Symbol.asyncDispose]: () => (closed ??= close(server)),
  }
}

/** What has begun a request has its time. */
function closeIfSilent(socket: Socket, idleTimeoutMs: number): void {
  const timer = setTimeout(() => {
    if (socket.bytesRead === 0) socket.destroy()
  }, idleTimeoutMs).unref()
  socket.once('close', () => clearTimeout(timer))
}

/** What is no request, or does not come to its end. A reset is nobody's fault. */
function refuse(code: string, socket: Socket, onRefused: (why: AdminRefusal) => void): void {
  const isLate = code === 'ERR_HTTP_REQUEST_TIMEOUT'
  if (isLate || code.startsWith('HPE_')) onRefused(isLate ? 'slow' : 'malformed')
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const status = isLate
    ? '408 Request Timeout'
    : code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  )
}

function probe({ ok, detail }: CheckResult): Answer {
  return text(ok ? 200 : 503, detail)
}

function busy(json: boolean): Answer {
  const error = 'there are too many requests under way'
  return json
    ? { status: 503, contentType: 'application/json', body: `${JSON.stringify({ error })}\n` }
    : text(503, error)
}

function text(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` }
}

function send(response: ServerResponse, { status, contentType, body }: Answer): void {
  const bytes = Buffer.from(body)
  response
    .writeHead(status, {
      'content-type': contentType,
      'content-length': bytes.length,
      'cache-control': 'no-store',
    })
    .end(bytes)
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen({ host, port })
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw Object.assign(new Error(`the admin server cannot listen: ${message}`, { cause: error }), {
      code,
    })
  }
}

/** Idle connections close at once; an answer under way gets a second. */
async function close(server: Server): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS)
  const closed = once(server, 'close')
  server.close()
  await closed
  clearTimeout(timer)
}
