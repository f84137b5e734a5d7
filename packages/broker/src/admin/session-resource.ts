/** `/api/v1/sessions`: what is stored under a client id, at whichever node its client is. */
import type { StoredFacts } from '@breakwater/store'
import { ApiError, type ApiAnswer } from './api-answer.ts'
import type { ApiRequest } from './api-request.ts'
import { fromStore } from './from-store.ts'
import { readNamed } from './named.ts'

export interface SessionResourceOptions {
  readonly factsOf: (clientId: string) => Promise<StoredFacts | undefined>
  /** Resolves with whether there was one. */
  readonly end: (clientId: string) => Promise<boolean>
  readonly onEnd: (clientId: string) => void
}

export class SessionResource {
  readonly #options: SessionResourceOptions

  constructor(options: SessionResourceOptions) {
    this.#options = options
  }

  async one(request: ApiRequest): Promise<ApiAnswer> {
    const clientId = await readNamed(request, 'clientId')
    const facts = await fromStore(this.#options.factsOf(clientId))
    if (facts === undefined) throw none()
    const { user, nodeId, seenMs, filters, queuedMessages, queuedBytes } = facts
    return {
      status: 200,
      body: {
        clientId,
        username: user === undefined || user === '' ? null : user,
        node: nodeId ?? null,
        seen: new Date(seenMs).toISOString(),
        subscriptions: filters,
        queue: { messages: queuedMessages, bytes: queuedBytes },
      },
    }
  }

  async end(request: ApiRequest): Promise<ApiAnswer> {
    const clientId = await readNamed(request, 'clientId')
    if (!(await fromStore(this.#options.end(clientId)))) throw none()
    this.#options.onEnd(clientId)
    return { status: 204 }
  }
}

function none(): ApiError {
  return new ApiError(404, 'no stored session has this client id')
}
