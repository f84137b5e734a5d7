/**
 * The admin API, `/api/v1`: what docs/ADMIN-API.md lists. In: requests of the admin server. Out: JSON. Every
 * request is checked for access before anything else of it is looked at; nothing that it answers, or logs, holds
 * a password, a token or a key.
 *
 * Bounds: those of the admin server and of `request-body.ts`; ANSWER_TIMEOUT_MS for what asks Redis.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkAccess, type TokenDigest } from './admin-access.ts'
import { ApiError, sendAnswer, type ApiAnswer } from './api-answer.ts'
import type { ClientResource } from './client-resource.ts'
import type { RevocationResource } from './revocation-resource.ts'

const PREFIX = '/api/v1'
/** Below the time after which the admin server closes a connection that says nothing. */
const ANSWER_TIMEOUT_MS = 5_000

export interface AdminApiOptions {
  /** Undefined: no token file is set. */
  readonly token: () => TokenDigest | undefined
  readonly nodes: () => Promise<readonly object[]>
  readonly clients: ClientResource
  readonly revocations: RevocationResource
  readonly onAnswer: (result: AdminResult) => void
  readonly onDefect: (error: unknown) => void
}

type AdminResult = 'ok' | 'denied' | 'invalid' | 'error'

type Handler = (request: IncomingMessage, id: string, query: URLSearchParams) => Work
type Work = ApiAnswer | Promise<ApiAnswer>
interface Resource {
  readonly all: Methods
  readonly one: Methods
}

type Methods = Readonly<Partial<Record<'GET' | 'POST' | 'DELETE', Handler>>>

export class AdminApi {
  readonly prefix: string = PREFIX
  readonly #options: AdminApiOptions
  /** By the first segment behind the prefix: of the whole, and of one by its id. */
  readonly #resources: Readonly<Record<string, Resource>>

  constructor(options: AdminApiOptions) {
    this.#options = options
    const { nodes, clients, revocations } = options
    this.#resources = {
      nodes: {
        all: { GET: async () => ({ status: 200, body: { nodes: await nodes() } }) },
        one: {},
      },
      clients: {
        all: { GET: (_request, _id, query) => clients.list(query) },
        one: {
          GET: (_request, id) => clients.one(id),
          DELETE: (_request, id) => clients.kick(id),
        },
      },
      revocations: {
        all: { GET: () => revocations.list(), POST: (request) => revocations.add(request) },
        one: { DELETE: (_request, id) => revocations.remove(id) },
      },
    }
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { onAnswer } = this.#options
    const answer = await this.#answer(request)
    onAnswer(resultOf(answer.status))
    // What comes behind a refusal is not read.
    if (!request.complete) response.setHeader('connection', 'close')
    if (!response.destroyed) sendAnswer(response, answer, request.method !== 'HEAD')
  }

  async #answer(request: IncomingMessage): Promise<ApiAnswer> {
    try {
      checkAccess(request, this.#options.token())
      return await inTime(this.#route(request))
    } catch (error) {
      if (error instanceof ApiError) return error.answer
      if (!request.complete) return new ApiError(408, 'the body did not come in time').answer
      this.#options.onDefect(error)
      return new ApiError(503, 'the store does not answer; what was asked may have been done')
        .answer
    }
  }

  #route(request: IncomingMessage): Work {
    const url = new URL(request.url ?? '', 'http://admin')
    const [name = '', id, ...rest] = url.pathname.slice(PREFIX.length + 1).split('/')
    const resource =
      rest.length === 0 && Object.hasOwn(this.#resources, name) ? this.#resources[name] : undefined
    const methods = id === undefined ? resource?.all : resource?.one
    if (methods === undefined || id === '' || Object.keys(methods).length === 0)
      throw new ApiError(404, 'there is nothing here; see docs/ADMIN-API.md')
    const { method = '' } = request
    const handler = methods[(method === 'HEAD' ? 'GET' : method) as keyof Methods]
    if (handler === undefined)
      throw new ApiError(405, `not ${method} here`, { allow: Object.keys(methods).join(', ') })
    return handler(request, id === undefined ? '' : decoded(id), url.searchParams)
  }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new ApiError(400, 'the id in the path is not percent-encoded UTF-8')
  }
}

function resultOf(status: number): AdminResult {
  if (status < 400) return 'ok'
  if (status === 401 || status === 403) return 'denied'
  return status < 500 ? 'invalid' : 'error'
}

async function inTime(work: Work): Promise<ApiAnswer> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)),
    ANSWER_TIMEOUT_MS,
  )
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
