/**
 * The parameters of a request. Each is known, is there once, and is percent-encoded UTF-8: what could be
 * understood in two ways is refused, because a client id that was misread would be somebody else's.
 */
import { ApiError } from './api-answer.ts'

/** @throws {ApiError} 400, with what is wrong */
export function readQuery<Name extends string>(
  text: string,
  known: readonly Name[],
): Readonly<Partial<Record<Name, string>>> {
  const found: Partial<Record<Name, string>> = {}
  for (const part of text === '' ? [] : text.split('&')) {
    const [rawName = '', ...rest] = part.split('=')
    const name = known.find((one) => one === rawName)
    if (name === undefined)
      throw new ApiError(
        400,
        `there is no parameter "${shortened(rawName)}" here; ${listed(known)}`,
      )
    if (found[name] !== undefined) throw new ApiError(400, `${name} is given more than once`)
    const value = rest.join('=')
    // Some clients mean a blank by it, others a plus.
    if (value.includes('+'))
      throw new ApiError(400, `${name}: write %2B for a plus, %20 for a blank`)
    found[name] = decoded(value, name)
  }
  return found
}

/** @throws {ApiError} 400, with what is wrong */
export function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ApiError(400, `${what} is not percent-encoded UTF-8`)
  }
}

const SHOWN_CHARACTERS = 64

export function shortened(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}

function listed(known: readonly string[]): string {
  return known.length === 0 ? 'none is known' : `known: ${known.join(', ')}`
}
