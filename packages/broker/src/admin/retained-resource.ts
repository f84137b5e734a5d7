/** `/api/v1/retained`: retained messages, by a filter that their topics match. */
import { isSharedFilter, isValidTopicFilter } from '@breakwater/mqtt'
import type { Cleared } from '../retained/retained-clearing.ts'
import { ApiError, type ApiAnswer } from './api-answer.ts'
import type { ApiRequest } from './api-request.ts'
import { fromStore } from './from-store.ts'
import { readNamed } from './named.ts'

export interface RetainedResourceOptions {
  readonly clear: (filter: string) => Promise<Cleared>
  readonly onClear: (filter: string) => void
}

export class RetainedResource {
  readonly #options: RetainedResourceOptions

  constructor(options: RetainedResourceOptions) {
    this.#options = options
  }

  async clear(request: ApiRequest): Promise<ApiAnswer> {
    const filter = await readNamed(request, 'filter')
    if (!isValidTopicFilter(filter) || isSharedFilter(filter))
      throw new ApiError(400, 'filter must be a topic or a topic filter, such as devices/7/#')
    const { clear, onClear } = this.#options
    // Said first: what an error ends may have been done in part.
    onClear(filter)
    const { cleared, more } = await fromStore(clear(filter))
    return { status: 200, body: { cleared, more } }
  }
}
