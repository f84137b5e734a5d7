/**
 * Who may publish and subscribe where. Rules are tried from top to bottom; the first that fits decides, else
 * the default, which gives nothing under `$SYS` away.
 *
 * A filter is more than one topic, so a rule may fit a part of it: one that allows decides for a subscription
 * only where it covers all of it, one that denies already where it touches it. So no wildcard slips past a
 * deny, and what several rules only allow together is denied: subscribe to the parts.
 *
 * Bounds: DECISIONS_MAX topics remembered per client; what one filter becomes (rule-topics.ts).
 */
import { isServerTopic } from '@breakwater/mqtt'
import { claimValues, type Identity } from './identity.ts'
import {
  fitsTopic,
  missOf,
  publishTo,
  subscribeTo,
  topicsOf,
  type Asked,
  type RuleTopic,
} from './rule-topics.ts'
import { parseRules, type Action, type RulesText, type RuleText } from './rules-file.ts'

export interface Decision {
  readonly allowed: boolean
  /** Place in the file, from 1; undefined where the default decided. */
  readonly rule: number | undefined
  readonly name: string | undefined
}

/** What became of one rule: the reason why it does not fit, or undefined where it decides. */
export interface Step {
  readonly rule: number
  readonly name: string | undefined
  readonly passedOver: string | undefined
}

interface OwnRule {
  readonly decision: Decision
  readonly actions: readonly Action[]
  /** With the client's own names in the place of the variables. */
  readonly topics: readonly RuleTopic[]
}

/** Of what is under `$SYS`, whatever the default: how a broker is doing is not for everybody. */
const NOT_SAID: Decision = { allowed: false, rule: undefined, name: undefined }
const DECISIONS_MAX = 128

export class AccessRules {
  readonly #rules: readonly RuleText[]
  readonly #fallback: Decision

  constructor({ rules, default: fallback }: RulesText) {
    this.#rules = rules
    this.#fallback = { allowed: fallback === 'allow', rule: undefined, name: undefined }
  }

  /** @throws {ConfigError} one line that names the place in the file */
  static parse(text: string, path: string): AccessRules {
    return new AccessRules(parseRules(text, path))
  }

  /** Whether a rule says something of a client by its client id. */
  get speakOfClientIds(): boolean {
    return this.#rules.some(
      ({ clients, topics }) =>
        clients !== undefined || topics.some((topic) => topic.includes('${clientid}')),
    )
  }

  /** The rules that are about this client, ready to be asked. */
  of(identity: Identity): ClientAccess {
    const own: OwnRule[] = []
    for (const [index, rule] of this.#rules.entries()) {
      if (!isAbout(rule, identity)) continue
      const topics = topicsFor(rule, identity)
      if (topics.length === 0) continue
      const decision = { allowed: rule.allow !== undefined, rule: index + 1, name: rule.name }
      own.push({ decision, actions: rule.allow ?? rule.deny ?? [], topics })
    }
    return new ClientAccess(own, this.#fallback)
  }
}

/** Every rule up to the one that decides, and why those before it do not. */
export function explain({ rules }: RulesText, identity: Identity, asked: Asked): readonly Step[] {
  const steps: Step[] = []
  for (const [index, rule] of rules.entries()) {
    const passedOver = whyNot(rule, identity, asked)
    steps.push({ rule: index + 1, name: rule.name, passedOver })
    if (passedOver === undefined) break
  }
  return steps
}

function topicsFor({ topics, deny }: RuleText, identity: Identity): readonly RuleTopic[] {
  return topics.flatMap((topic) => topicsOf(topic, identity, deny !== undefined))
}

function whyNot(rule: RuleText, identity: Identity, asked: Asked): string | undefined {
  const { action } = asked
  if (!isAbout(rule, identity)) return 'is about others'
  if (!(rule.allow ?? rule.deny ?? []).includes(action)) return `says nothing of ${action}`
  const topics = topicsFor(rule, identity)
  if (topics.length === 0) return 'has a variable that this client has no value for'
  if (topics.some((topic) => fitsTopic(topic, rule.allow !== undefined, asked))) return undefined
  return missOf(topics, asked)
}

export class ClientAccess {
  readonly #rules: readonly OwnRule[]
  readonly #fallback: Decision
  readonly #decisions = new Map<string, Decision>()

  constructor(rules: readonly OwnRule[], fallback: Decision) {
    this.#rules = rules
    this.#fallback = fallback
  }

  publish(topic: string): Decision {
    const known = this.#decisions.get(topic)
    if (known !== undefined) return known
    const decision = this.#first(publishTo(topic))
    if (this.#decisions.size >= DECISIONS_MAX) this.#decisions.clear()
    this.#decisions.set(topic, decision)
    return decision
  }

  /** `filter`: as in SUBSCRIBE, with its group if it has one. */
  subscribe(filter: string): Decision {
    return this.#first(subscribeTo(filter))
  }

  #first(asked: Asked): Decision {
    for (const { decision, actions, topics } of this.#rules) {
      if (!actions.includes(asked.action)) continue
      if (topics.some((topic) => fitsTopic(topic, decision.allowed, asked))) return decision
    }
    return isServerTopic(asked.topic) ? NOT_SAID : this.#fallback
  }
}

function isAbout(rule: RuleText, identity: Identity): boolean {
  const { users, clients, certificates, claims, anonymous } = rule
  const { clientId, username, certificate } = identity
  if (users !== undefined && !fitsOne(users, username)) return false
  if (clients !== undefined && !fitsOne(clients, clientId)) return false
  if (certificates !== undefined && !fitsOne(certificates, certificate?.cn)) return false
  if (anonymous !== undefined && anonymous !== (username === undefined)) return false
  return Object.entries(claims ?? {}).every(([claim, value]) =>
    claimValues(identity.claims?.[claim]).includes(String(value)),
  )
}

/** A `*` at the end of a name stands for any rest. */
function fitsOne(names: readonly string[], name: string | undefined): boolean {
  if (name === undefined) return false
  return names.some((wanted) =>
    wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted,
  )
}
