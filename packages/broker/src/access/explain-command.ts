/** `breakwater acl explain`: which rule decides, and why those before it do not. */
import {
  isServerTopic,
  isSharedFilter,
  isValidTopicFilter,
  isValidTopicName,
  parseSharedFilter,
} from '@breakwater/mqtt'
import { ConfigError } from '@breakwater/config'
import { AccessRules, explain } from './access-rules.ts'
import type { Identity } from './identity.ts'
import { Permissions } from './permissions.ts'
import { publishTo, subscribeTo } from './rule-topics.ts'
import { ACTIONS, parseRules } from './rules-file.ts'

export interface ExplainOptions {
  readonly topic: string
  readonly action: string
  readonly clientId: string
  readonly as?: string
  readonly cn?: string
  readonly uri?: string
  readonly claims?: string
  readonly identity?: string
  readonly file?: string
}

/** The answer first, then a line per rule. @throws {ConfigError} one line */
export function explainAccess(
  text: string,
  path: string,
  options: ExplainOptions,
): readonly string[] {
  const { topic } = options
  const action = ACTIONS.find((known) => known === options.action)
  if (action === undefined) throw new ConfigError('acl explain: --action is publish or subscribe')
  const isValid = action === 'publish' ? isValidTopicName(topic) : isFilter(topic)
  if (!isValid) throw new ConfigError(`acl explain: "${topic}" is nothing to ${action} to`)
  const rules = parseRules(text, path)
  if (action === 'publish' && isServerTopic(topic))
    return [`denied: publish to ${topic}`, '  only the broker publishes under $SYS']
  const identity = identityOf(options)
  const permissions = new Permissions(identity, new AccessRules(rules))
  const allowed = action === 'publish' ? permissions.publish(topic) : permissions.subscribe(topic)
  const asked = action === 'publish' ? publishTo(topic) : subscribeTo(topic)
  const steps = explain(rules, identity, asked)
  const lines = steps.map(({ rule, name, passedOver }) => {
    const label = name === undefined ? `rule ${rule}` : `rule ${rule} "${name}"`
    return `  ${label} ${passedOver ?? 'decides'}`
  })
  if (steps.at(-1)?.passedOver !== undefined || steps.length === 0)
    lines.push(
      isServerTopic(asked.topic)
        ? '  no rule allows it, and the default does not count under $SYS'
        : `  the default decides: ${rules.default}`,
    )
  return [`${allowed ? 'allowed' : 'denied'}: ${action} to ${topic}`, ...lines]
}

function isFilter(text: string): boolean {
  return isSharedFilter(text) ? parseSharedFilter(text) !== undefined : isValidTopicFilter(text)
}

function identityOf({ clientId, as, cn, uri, claims, identity }: ExplainOptions): Identity {
  const groups = identity === undefined ? {} : parseObject('identity', identity)
  const certificate = {
    cn,
    uri: uri === undefined ? [] : [uri],
    dns: [],
    email: [],
    groups: Object.fromEntries(
      Object.entries(groups).map(([name, value]) => [name, String(value)]),
    ),
  }
  const shows = [cn, uri, identity].some((given) => given !== undefined)
  return {
    clientId,
    // As in CONNECT, a user name of length 0 is none.
    username: as === '' ? undefined : as,
    ...(shows ? { certificate } : {}),
    ...(claims === undefined ? {} : { claims: parseObject('claims', claims) }),
  }
}

function parseObject(option: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // The same line says it.
  }
  throw new ConfigError(`acl explain: --${option} is a JSON object, such as '{"site":"north"}'`)
}
