/**
 * Which client ids a listener takes from whom: a pattern of text and variables, `${username}` or
 * `dev-${jwt.device}`, and perhaps a `*` at its end for any rest, `${username}:*`.
 *
 * An id belongs to one value of the variables: the texts between them say where one ends and the next begins,
 * found from the end of the id on. So of two users `ops` and `ops-root` with `${username}-*` only the second
 * has the id `ops-root-1`, and a `*` stands for a rest without the text before it.
 */
import {
  IDENTITY_VARIABLE,
  isIdentityVariable,
  type IdentityVariable,
} from './identity-variable.ts'

export interface ClientIdRule {
  /** As it was written. */
  readonly text: string
  /** One more than variables: before, between and behind them. */
  readonly texts: readonly string[]
  readonly variables: readonly IdentityVariable[]
  /** Whether a `*` stands at the end. */
  readonly open: boolean
}

type Fail = (why: string) => Error

/** Undefined: any client id from anybody. @throws what `fail` makes: one line */
export function parseClientIdRule(text: string, fail: Fail): ClientIdRule | undefined {
  if (text === 'any') return undefined
  const open = text.endsWith('*')
  const parts = (open ? text.slice(0, -1) : text).split(IDENTITY_VARIABLE)
  const texts = parts.filter((_, index) => index % 2 === 0)
  const names = parts.filter((_, index) => index % 2 === 1)
  const variables = names.filter(isIdentityVariable)
  const unknown = names.find((name) => !isIdentityVariable(name) || name === 'clientid')
  if (unknown !== undefined)
    throw fail(
      `"${text}": \${${unknown}} is not a variable of a client id; use \${username}, \${cert.cn}, \${cert.san.uri}, \${cert.san.dns}, \${cert.san.email}, \${identity.GROUP} or \${jwt.CLAIM}`,
    )
  if (texts.some((part) => part.includes('${')))
    throw fail(`"${text}": a variable ends with a }, such as \${username}`)
  if (names.length === 0 && !open)
    throw fail(
      `"${text}" is one client id for everybody; use any, or a pattern such as \${username}, \${username}:* or guest-*`,
    )
  if (texts.some((part) => part.includes('*')))
    throw fail(`"${text}": a * stands at the end only, for any rest`)
  const between = open ? texts.slice(1) : texts.slice(1, -1)
  if (between.includes(''))
    throw fail(
      `"${text}": a text must follow a variable, so that nobody's id begins with the name of somebody else: \${username}:*`,
    )
  return { text, texts, variables, open }
}

/**
 * Whether a client may have the id. `valuesOf` has what was proved of the client; a value is text, whatever
 * characters it holds.
 */
export function fitsClientIdRule(
  { texts, variables, open }: ClientIdRule,
  clientId: string,
  valuesOf: (variable: IdentityVariable) => readonly string[],
): boolean {
  const [first = ''] = texts
  if (!clientId.startsWith(first)) return false
  if (variables.length === 0) return true
  const last = texts.at(-1) ?? ''
  let end = open ? clientId.lastIndexOf(last) : clientId.length - last.length
  if (!open && !clientId.endsWith(last)) return false
  for (let index = variables.length - 1; index >= 0; index -= 1) {
    const text = texts[index] as string
    // Where the text before the value begins.
    const before = index === 0 ? 0 : clientId.slice(0, Math.max(end, 0)).lastIndexOf(text)
    const start = before + text.length
    if (before < 0 || start >= end) return false
    const value = clientId.slice(start, end)
    if (!valuesOf(variables[index] as IdentityVariable).includes(value)) return false
    end = before
  }
  return true
}
