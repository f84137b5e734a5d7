/**
 * The admin server in front of a node that comes up: probes and metrics answer from the first moment, the API when
 * there is a node to ask.
 */
import type { Config } from '@breakwater/config'
import {
  startAdminServer,
  type AdminRoute,
  type AdminServer,
  type CheckResult,
} from '@breakwater/metrics'
import { adminBounds } from './admin-routes.ts'
import type { Events } from '../observe/events.ts'
import type { BrokerInstruments } from '../observe/instruments.ts'
import { listenFault } from '../listen/listen-fault.ts'

export interface AdminFrontOptions {
  readonly config: Pick<Config, 'admin' | 'limits'>
  readonly events: Pick<Events, 'adminRefused'>
  readonly instruments: BrokerInstruments
  /** What a node that serves misses, for the person who reads the probe; undefined: nothing. */
  readonly trouble: () => string | undefined
}

const API = '/api'

export class AdminFront implements AsyncDisposable {
  readonly #trouble: () => string | undefined
  #server: AdminServer | undefined
  #routes: readonly AdminRoute[] | undefined
  #missing: string | undefined = 'the node is starting'

  private constructor(trouble: () => string | undefined) {
    this.#trouble = trouble
  }

  /** @throws {ConfigError} it cannot listen there */
  static async open({
    config,
    events,
    instruments,
    trouble,
  }: AdminFrontOptions): Promise<AdminFront> {
    const front = new AdminFront(trouble)
    front.#server = await startAdminServer({
      ...config.admin,
      livez: () => ({ ok: true, detail: 'alive' }),
      readyz: () => front.#readiness,
      startupz: () =>
        front.#routes === undefined ? front.#readiness : { ok: true, detail: 'started' },
      render: () => instruments.render(),
      routes: [{ prefix: API, handle: (request, response) => front.#handle(request, response) }],
      bounds: adminBounds(config.limits),
      onRefused: (why) => events.adminRefused(why),
    }).catch((error: Error & { code?: string }) => {
      throw listenFault('BREAKWATER_ADMIN', config.admin, error)
    })
    const open = instruments.gauge('admin_connections').cell()
    instruments.onScrape(() => open.set(front.#server?.connections ?? 0))
    return front
  }

  get port(): number {
    return this.#server?.port ?? 0
  }

  /** The node is not ready, and why. */
  missing(why: string): void {
    this.#missing = why
  }

  serving(routes: readonly AdminRoute[]): void {
    this.#routes = routes
    this.#missing = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
  }

  get #readiness(): CheckResult {
    if (this.#missing !== undefined) return { ok: false, detail: this.#missing }
    const trouble = this.#trouble()
    return { ok: true, detail: trouble === undefined ? 'ready' : `ready; Redis: ${trouble}` }
  }

  #handle(...[request, response]: Parameters<AdminRoute['handle']>): void | Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? ''
    const route = this.#routes?.find(
      ({ prefix }) => path === prefix || path.startsWith(`${prefix}/`),
    )
    if (route !== undefined) return route.handle(request, response)
    const status = this.#routes === undefined ? 503 : 404
    const body = this.#routes === undefined ? `${this.#missing}\n` : 'not found\n'
    response
      .writeHead(status, {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': Buffer.byteLength(body),
        connection: 'close',
      })
      .end(body)
  }
}
