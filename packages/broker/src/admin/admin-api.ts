/**
 * The admin API, `/api/v1`: what docs/ADMIN-API.md lists. In: requests of the admin server. Out: JSON. Every
 * request is checked for access before anything else of it is looked at; nothing that it answers, or logs, holds
 * a password, a token or a key. What it does not know, a parameter or a field, it refuses.
 *
 * Bounds: those of the admin server, of `request-body.ts` and of `from-store.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkAccess, type TokenDigest } from './admin-access.ts'
import { ApiError, sendAnswer, type ApiAnswer } from './api-answer.ts'
import type { ApiRequest } from './api-request.ts'
import type { ClientResource } from './client-resource.ts'
import { fromStore } from './from-store.ts'
import { decoded, readQuery } from './query.ts'
import { hasBody } from './request-body.ts'
import type { RetainedResource } from './retained-resource.ts'
import type { RevocationResource } from './revocation-resource.ts'
import type { SessionResource } from './session-resource.ts'

const PREFIX = '/api/v1'

export interface AdminApiOptions {
  /** Undefined: no token file is set. */
  readonly token: () => TokenDigest | undefined
  readonly nodes: () => Promise<readonly object[]>
  readonly clients: ClientResource
  readonly sessions: SessionResource
  readonly retained: RetainedResource
  readonly revocations: RevocationResource
  readonly onAnswer: (result: AdminResult) => void
  /** The store has not answered. */
  readonly onFault: (error: Error) => void
  readonly onDefect: (error: unknown) => void
}

type AdminResult = 'ok' | 'denied' | 'invalid' | 'error'

interface Handler {
  /** Parameters that it knows. */
  readonly query?: readonly string[]
  /** It reads a body if there is one. */
  readonly body?: true
  readonly answer: (request: ApiRequest) => ApiAnswer | Promise<ApiAnswer>
}

interface Resource {
  readonly all: Methods
  readonly one?: Methods
  /** `POST` to a name below the resource, which asks for what a path cannot say. */
  readonly actions?: Readonly<Record<string, Handler>>
}

type Methods = Readonly<Partial<Record<'GET' | 'POST' | 'DELETE', Handler>>>

export class AdminApi {
  readonly prefix: string = PREFIX
  readonly #options: AdminApiOptions
  /** By the first segment behind the prefix: of the whole, and of one by its id. */
  readonly #resources: Readonly<Record<string, Resource>>

  constructor(options: AdminApiOptions) {
    this.#options = options
    const { nodes, clients, sessions, retained, revocations } = options
    this.#resources = {
      nodes: {
        all: {
          GET: {
            answer: async () => ({ status: 200, body: { nodes: await fromStore(nodes()) } }),
          },
        },
      },
      clients: {
        all: {
          GET: {
            query: ['clientId', 'limit', 'cursor'],
            answer: (request) => clients.list(request),
          },
          DELETE: {
            query: ['clientId'],
            body: true,
            answer: (request) => clients.kick(request),
          },
        },
        one: {
          GET: { answer: (request) => clients.one(request) },
          DELETE: { answer: (request) => clients.kick(request) },
        },
        actions: { lookup: { body: true, answer: (request) => clients.one(request) } },
      },
      sessions: {
        all: {
          GET: { query: ['clientId'], answer: (request) => sessions.one(request) },
          DELETE: {
            query: ['clientId'],
            body: true,
            answer: (request) => sessions.end(request),
          },
        },
        actions: { lookup: { body: true, answer: (request) => sessions.one(request) } },
      },
      retained: {
        all: {
          DELETE: {
            query: ['filter'],
            body: true,
            answer: (request) => retained.clear(request),
          },
        },
      },
      revocations: {
        all: {
          GET: { answer: () => revocations.list() },
          POST: { body: true, answer: (request) => revocations.add(request) },
          DELETE: {
            query: ['id'],
            body: true,
            answer: (request) => revocations.remove(request),
          },
        },
        one: { DELETE: { answer: (request) => revocations.remove(request) } },
      },
    }
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { onAnswer } = this.#options
    const answer = await this.#answer(request)
    onAnswer(resultOf(answer.status))
    // What comes behind a refusal is not read.
    if (!request.complete && hasBody(request)) response.setHeader('connection', 'close')
    if (!response.destroyed) sendAnswer(response, answer, request.method !== 'HEAD')
  }

  async #answer(request: IncomingMessage): Promise<ApiAnswer> {
    const { token, onFault, onDefect } = this.#options
    try {
      checkAccess(request, token())
      return await this.#route(request)
    } catch (error) {
      if (error instanceof ApiError) {
        if (error.cause instanceof Error) onFault(error.cause)
        return error.answer
      }
      onDefect(error)
      return new ApiError(500, 'a defect of the node; its log says more').answer
    }
  }

  #route(message: IncomingMessage): ApiAnswer | Promise<ApiAnswer> {
    const { method = '', url = '' } = message
    // By hand: a URL of the library takes `.` and `..` for steps, percent-encoded ones too.
    const place = url.indexOf('?')
    const [path, parameters] =
      place === -1 ? [url, ''] : [url.slice(0, place), url.slice(place + 1)]
    const [name = '', segment, ...rest] = path.slice(PREFIX.length + 1).split('/')
    const resource = Object.hasOwn(this.#resources, name) ? this.#resources[name] : undefined
    const { actions = {} } = resource ?? {}
    const isAction = method === 'POST' && segment !== undefined && rest.length === 0
    const action = isAction && Object.hasOwn(actions, segment) ? actions[segment] : undefined
    const methods = segment === undefined ? resource?.all : resource?.one
    if (rest.length > 0 || segment === '' || (action === undefined && methods === undefined))
      throw new ApiError(404, 'there is nothing here; see docs/ADMIN-API.md')
    const handler = action ?? methods?.[(method === 'HEAD' ? 'GET' : method) as keyof Methods]
    if (handler === undefined)
      throw new ApiError(405, `not ${method} here`, {
        allow: Object.keys(methods ?? {}).join(', '),
      })
    const query = readQuery(parameters, handler.query ?? [])
    if (handler.body === undefined && hasBody(message))
      throw new ApiError(400, `${method} takes no body here`)
    const isNamed = segment !== undefined && action === undefined
    const id = isNamed ? decoded(segment, 'the id in the path') : undefined
    return handler.answer({ message, id, query, hasBody: hasBody(message) })
  }
}

function resultOf(status: number): AdminResult {
  if (status < 400) return 'ok'
  if (status === 401 || status === 403) return 'denied'
  return status < 500 ? 'invalid' : 'error'
}
