/**
 * The one that a request is about, such as a client id: in the path where it fits there, as a parameter, or as
 * the only field of a JSON body, which takes every name that MQTT has.
 */
import { ApiError } from './api-answer.ts'
import type { ApiRequest } from './api-request.ts'
import { readObject } from './request-body.ts'

/** What a client id or a user name has at most (MQTT 1.5.3). */
const NAME_BYTES_MAX = 65_535

/** Before the value in the id of a revocation. */
const ID_PREFIX_BYTES_MAX = 16

/** @throws {ApiError} 400: it is not given, or more than once, or is no name */
export async function readNamed(
  request: ApiRequest,
  name: 'clientId' | 'filter' | 'id',
): Promise<string> {
  const { id, query, hasBody, message } = request
  const body = hasBody ? await readObject(message, [name]) : undefined
  const given = [id, query[name], body?.[name]].filter((value) => value !== undefined)
  const [value, another] = given
  if (value === undefined)
    throw new ApiError(400, `give ${name}, as a parameter or as {"${name}": "…"} in the body`)
  if (another !== undefined) throw new ApiError(400, `${name} is given more than once`)
  if (!isName(value, NAME_BYTES_MAX + (name === 'id' ? ID_PREFIX_BYTES_MAX : 0)))
    throw new ApiError(400, `${name} must be ${NAME_FORM}`)
  return value
}

export const NAME_FORM: string = `a text of 1 to ${NAME_BYTES_MAX} bytes of UTF-8`

export function isName(value: unknown, bytesMax: number = NAME_BYTES_MAX): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.isWellFormed() &&
    Buffer.byteLength(value) <= bytesMax
  )
}
