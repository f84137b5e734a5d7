/**
 * The file of access rules (BREAKWATER_ACL_FILE), YAML:
 *
 *   default: deny
 *   rules:
 *     - name: devices speak for themselves
 *       allow: [publish, subscribe]
 *       topics: ['devices/${clientid}/#']
 *
 * A rule says for whom it is (`users`, `clients`, `certificates`, `claims`, `anonymous`; all that are given
 * must fit, and everybody fits where none is given), what it does (`allow` or `deny`) and where (`topics`).
 */
import { isSharedFilter, isValidTopicFilter, parseSharedFilter } from '@breakwater/mqtt'
import { ConfigError, IDENTITY_VARIABLE, isIdentityVariable } from '@breakwater/config'
import * as v from 'valibot'
import { isClaimValue } from './identity.ts'
import { isNode, LineCounter, parseDocument, type Document } from 'yaml'

export const ACTIONS = ['publish', 'subscribe'] as const
export type Action = (typeof ACTIONS)[number]

export interface RuleText {
  readonly name?: string | undefined
  readonly users?: readonly string[] | undefined
  readonly clients?: readonly string[] | undefined
  readonly certificates?: readonly string[] | undefined
  readonly claims?: Readonly<Record<string, string | number | boolean>> | undefined
  readonly anonymous?: boolean | undefined
  readonly allow?: readonly Action[] | undefined
  readonly deny?: readonly Action[] | undefined
  readonly topics: readonly string[]
}

export interface RulesText {
  readonly default: 'allow' | 'deny'
  readonly rules: readonly RuleText[]
}

const RULES_MAX = 10_000
const VARIABLES = new RegExp(IDENTITY_VARIABLE, 'g')

const name = v.pipe(v.string('must be text'), v.nonEmpty('must not be empty'))
/** Of a user, a client or a certificate. What would never fit would let a rule that denies be passed over. */
const pattern = v.pipe(
  name,
  v.check(
    (text) => !text.slice(0, -1).includes('*'),
    'must have a * at its end only, for any rest',
  ),
  v.check((text) => !text.includes('${'), 'must be a name: variables stand in topics only'),
)
const names = v.pipe(v.array(pattern, 'must be a list of names'), v.nonEmpty('must not be empty'))
const actions = v.pipe(
  v.array(v.picklist(ACTIONS, 'must be publish or subscribe'), 'must be a list of actions'),
  v.nonEmpty('must not be empty'),
)
const topic = v.pipe(
  name,
  v.check(
    (text) =>
      [...text.matchAll(VARIABLES)].every(([, inner]) => isIdentityVariable(inner ?? '')) &&
      !text.replaceAll(VARIABLES, 'x').includes('${'),
    'names a variable that there is not; there are ${clientid}, ${username}, ${cert.cn}, ${cert.san.uri}, ${cert.san.dns}, ${cert.san.email}, ${identity.GROUP} and ${jwt.CLAIM}',
  ),
  v.check(
    (text) => isValidTopicFilter(text.replaceAll(VARIABLES, 'x')),
    'is not a topic filter: + and # stand alone in their level, # at the end',
  ),
  v.check(
    (text) => !isSharedFilter(text) || isInGroup(text.replaceAll(VARIABLES, 'x')),
    'is not $share/GROUP/FILTER: a group is a name, with a * at its end for any rest, or + for any group',
  ),
)
/** Where `+` stands for any group. */
function isInGroup(text: string): boolean {
  return parseSharedFilter(text.replace(/^\$share\/\+\//, '$share/x/')) !== undefined
}

const rule = v.pipe(
  v.strictObject(
    {
      name: v.optional(name),
      users: v.optional(names),
      clients: v.optional(names),
      certificates: v.optional(names),
      claims: v.optional(
        v.pipe(
          v.record(
            v.string(),
            v.custom<string | number | boolean>(
              isClaimValue,
              'must be text, a number, true or false; a number of more than 15 digits is text in quotes',
            ),
            'must map claims to values',
          ),
          v.check((claims) => Object.keys(claims).length > 0, 'must not be empty'),
        ),
      ),
      anonymous: v.optional(v.boolean('must be true or false')),
      allow: v.optional(actions),
      deny: v.optional(actions),
      topics: v.pipe(v.array(topic, 'must be a list of filters'), v.nonEmpty('must not be empty')),
    },
    (issue) =>
      issue.expected === 'never'
        ? 'is not known in a rule'
        : 'must be a rule: a mapping with topics',
  ),
  v.check(
    ({ allow, deny }) => (allow === undefined) !== (deny === undefined),
    'must have either allow or deny',
  ),
  v.check(
    ({ allow, deny, topics }) =>
      !topics.some(isSharedFilter) ||
      (allow ?? deny ?? []).every((action) => action === 'subscribe'),
    'must be about subscribe alone where a topic names a group, $share/GROUP/FILTER',
  ),
)
const file: v.GenericSchema<unknown, RulesText> = v.strictObject(
  {
    default: v.optional(v.picklist(['allow', 'deny'], 'must be allow or deny'), 'deny'),
    rules: v.pipe(
      v.array(rule, 'must be a list of rules'),
      v.maxLength(RULES_MAX, `must not have more than ${RULES_MAX} rules`),
    ),
  },
  (issue) => (issue.expected === 'never' ? 'is not known here' : 'must be a mapping with rules'),
)

/** @throws {ConfigError} one line that names the place in the file and what it must be */
export function parseRules(text: string, path: string): RulesText {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [fault] = document.errors
  if (fault !== undefined) {
    const at = fault.linePos?.[0]
    const place = at === undefined ? path : `${path}:${at.line}:${at.col}`
    throw faultAt(place, fault.message.split(' at line', 1)[0] ?? fault.message)
  }
  const result = v.safeParse(file, plain(document, path), { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const keys = (issue.path ?? []).map(({ key }) => key as string | number)
  const { line, col } = placeOf(document, keys, lines)
  const what = keys.length === 0 ? 'the file' : keys.join('.')
  throw faultAt(`${path}:${line}:${col}`, `${what} ${issue.message}`)
}

/** An alias without its anchor, or one that multiplies, is found only here. */
function plain(document: Document, path: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw faultAt(path, (error as Error).message, error)
  }
}

function faultAt(place: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError(`${place}: ${why}`, { cause })
}

/** Of the value that is wrong, or of the next thing around it that is there. */
function placeOf(
  document: Document,
  keys: readonly (string | number)[],
  lines: LineCounter,
): { readonly line: number; readonly col: number } {
  for (let depth = keys.length; depth > 0; depth -= 1) {
    const node: unknown = document.getIn(keys.slice(0, depth), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0])
  }
  return { line: 1, col: 1 }
}
