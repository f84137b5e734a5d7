/**
 * The body of a request to the admin API. Bounds: BODY_BYTES_MAX, and the time that the server gives a request
 * (metrics/http-server.ts).
 */
import type { IncomingMessage } from 'node:http'
import { ApiError } from './api-answer.ts'

const BODY_BYTES_MAX = 8 * 1_024

/** @throws {ApiError} it is no JSON object, or longer than may be */
export async function readObject(
  request: IncomingMessage,
): Promise<Readonly<Record<string, unknown>>> {
  const { headers } = request
  // A form of a web page can send anything but this without asking first.
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw new ApiError(415, 'the body must be application/json')
  if (Number(headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw tooLarge()
    chunks.push(chunk)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw new ApiError(400, 'the body is no JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new ApiError(400, 'the body must be a JSON object')
  return parsed as Record<string, unknown>
}

function tooLarge(): ApiError {
  return new ApiError(413, `the body is longer than ${BODY_BYTES_MAX} bytes`, {
    connection: 'close',
  })
}
