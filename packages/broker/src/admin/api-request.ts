import type { IncomingMessage } from 'node:http'

/** A request that may be asked, as its handler sees it. */
export interface ApiRequest {
  readonly message: IncomingMessage
  /** Of the path, decoded. */
  readonly id: string | undefined
  /** Those that the handler knows. */
  readonly query: Readonly<Partial<Record<string, string>>>
  readonly hasBody: boolean
}
