/**
 * The admin server of a node: what Prometheus scrapes and what Kubernetes probes.
 *
 * It shares the event loop with the data plane, so it is bounded everywhere: few connections, small
 * headers, short time-outs, no request bodies. Probes answer from what the node knows already and
 * never wait for Redis. Bounds are the constants below; over a bound, the connection is closed.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { MetricsPage } from './instruments.ts'

const HEADER_BYTES_MAX = 8 * 1024
const CONNECTIONS_MAX = 256
const REQUEST_TIMEOUT_MS = 5_000
const RESPONSE_TIMEOUT_MS = 10_000
/** Longer than the usual scrape interval, so that a scraper keeps its connection. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000
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
}

export interface AdminServer extends AsyncDisposable {
  readonly address: string
  readonly port: number
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** Rejects with the system's error code (`EADDRINUSE`, `EACCES`, ...) where it cannot listen. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const pages: Partial<Record<string, () => Answer | Promise<Answer>>> = {
    '/metrics': async () => ({ status: 200, ...(await options.render()) }),
    '/livez': () => probe(options.livez()),
    '/readyz': () => probe(options.readyz()),
    '/startupz': () => probe(options.startupz()),
  }
  const routes = options.routes ?? []

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? ''
    const page = pages[path]
    const route = routes.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))
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
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    },
    (request, response) => {
      serve(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy()
        else send(response, text(500, error instanceof Error ? error.message : 'internal error'))
      })
    },
  )
  server.maxConnections = CONNECTIONS_MAX
  server.timeout = RESPONSE_TIMEOUT_MS
  await listen(server, options.host, options.port)
  const { address, port } = server.address() as AddressInfo

  let closed: Promise<void> | undefined
  return {
    address,
    port,
    [Symbol.asyncDispose]: () => (closed ??= close(server)),
  }
}

function probe({ ok, detail }: CheckResult): Answer {
  return text(ok ? 200 : 503, detail)
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
