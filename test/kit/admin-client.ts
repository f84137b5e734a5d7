/** Asks the admin API of a node, with the token of the tests unless another is given. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestNode } from './node.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export const ADMIN_TOKEN = 'the-token-of-the-tests'

export interface AdminAnswer {
  readonly status: number
  /** Parsed; undefined where there is none. */
  readonly body: Readonly<Record<string, unknown>> | undefined
  readonly headers: Headers
}

export interface AdminRequest {
  /** Null: none. */
  readonly token?: string | null
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What a node needs to have this token. */
export function adminEnvironment(token: string = ADMIN_TOKEN): Record<string, string> {
  const path = join(temporaryDirectory('admin-'), 'token')
  writeFileSync(path, `${token}\n`)
  return { BREAKWATER_ADMIN_TOKEN_FILE: path }
}

export async function askAdmin(
  { adminPort }: Pick<TestNode, 'adminPort'>,
  method: string,
  path: string,
  { token = ADMIN_TOKEN, body, headers = {} }: AdminRequest = {},
): Promise<AdminAnswer> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1/${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>),
    headers: response.headers,
  }
}
