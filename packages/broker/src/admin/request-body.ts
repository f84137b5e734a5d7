/**
 * The body of a request to the admin API. Bounds: BODY_BYTES_MAX, and the time that the server gives a request
 * (metrics/http-server.ts).
 */
import type { IncomingMessage } from 'node:http'
import { ApiError } from './api-answer.ts'
import { shortened } from './query.ts'

/** The longest name of MQTT, 65,535 bytes, each written as an escape of JSON, and what belongs to it. */
const BODY_BYTES_MAX = 512 * 1_024
const UTF8 = new TextDecoder('utf-8', { fatal: true })

export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** @throws {ApiError} it is no JSON object, has a field that is not known, or is longer than may be */
export async function readObject(
  request: IncomingMessage,
  known: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const { headers } = request
  // A form of a web page can send anything but this without asking first.
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw new ApiError(415, 'the body must be JSON, with content-type: application/json')
  if (Number(headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge()
  const text = decode(await readAll(request))
  const parsed = parse(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new ApiError(400, 'the body must be a JSON object')
  const unknown = Object.keys(parsed).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new ApiError(400, `unknown field "${shortened(unknown)}"; known: ${known.join(', ')}`)
  if (fieldsIn(text) > Object.keys(parsed).length)
    throw new ApiError(400, 'a field is given more than once')
  return parsed as Record<string, unknown>
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof ApiError) throw error
    throw new ApiError(408, 'the body did not come in time')
  }
  return Buffer.concat(chunks)
}

function decode(body: Buffer): string {
  try {
    return UTF8.decode(body)
  } catch {
    throw notJson()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw notJson()
  }
}

/** How many fields an object has as it is written: of two of one name the parser gives the last one. */
function fieldsIn(json: string): number {
  let [fields, depth] = [0, 0]
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g)) {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (token === ':' && depth === 1) fields += 1
  }
  return fields
}

function notJson(): ApiError {
  return new ApiError(400, 'the body is not JSON in UTF-8')
}

function tooLarge(): ApiError {
  return new ApiError(413, `the body is longer than ${BODY_BYTES_MAX} bytes`, {
    connection: 'close',
  })
}
