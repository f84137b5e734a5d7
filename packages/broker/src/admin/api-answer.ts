/** What the admin API answers: JSON, or nothing. An error is `{"error": "<one line>"}`. */
import type { ServerResponse } from 'node:http'

export interface ApiAnswer {
  readonly status: number
  /** Absent: no body. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What ends a request early, and what the caller is told. */
export class ApiError extends Error {
  readonly answer: ApiAnswer

  constructor(
    status: number,
    message: string,
    headers?: Readonly<Record<string, string>>,
    cause?: unknown,
  ) {
    super(message, { cause })
    const body = { error: message }
    this.answer = headers === undefined ? { status, body } : { status, body, headers }
  }
}

export function sendAnswer(
  response: ServerResponse,
  { status, body, headers }: ApiAnswer,
  withBody: boolean,
): void {
  const bytes = body === undefined ? undefined : Buffer.from(`${JSON.stringify(body)}\n`)
  response
    .writeHead(status, {
      ...(bytes === undefined ? {} : { 'content-type': 'application/json' }),
      ...(status === 204 ? {} : { 'content-length': bytes?.length ?? 0 }),
      'cache-control': 'no-store',
      ...headers,
    })
    .end(withBody ? bytes : undefined)
}
