/**
 * What a rule is about: topic filters, `devices/${clientid}/#`, and those of shared subscriptions in a group,
 * `$share/workers/jobs/#`, with a client's own names in the place of the variables.
 *
 * A filter alone is about the topics, by whatever subscription they come: in any group, too. One with a group is
 * about subscriptions in that group alone; `+` is any group, and a `*` at the end of a name stands for any rest.
 */
import { parseSharedFilter, topicMatchesFilter } from '@breakwater/mqtt'
import { IDENTITY_VARIABLE, type IdentityVariable } from '@breakwater/config'
import { covers, intersects } from './filter-relations.ts'
import { valuesOf, type Identity } from './identity.ts'
import type { Action } from './rules-file.ts'

/** What a client asks for: a topic to publish to, or a filter to subscribe to, perhaps in a group. */
export interface Asked {
  readonly action: Action
  readonly topic: string
  readonly group: string | undefined
}

export interface RuleTopic {
  readonly filter: string
  /** Undefined: it is about all subscriptions. */
  readonly group: RuleGroup | undefined
}

interface RuleGroup {
  readonly name: string
  /** Whether any rest may follow. */
  readonly open: boolean
}

const ANY_GROUP: RuleGroup = { name: '', open: true }
/** Of one topic of a rule: a certificate may have many names. */
const EXPANSIONS_MAX = 64
const IN_GROUP = /^\$share\/([^/]+)\/(.+)$/s

export function publishTo(topic: string): Asked {
  return { action: 'publish', topic, group: undefined }
}

/** `filter`: as in SUBSCRIBE. */
export function subscribeTo(filter: string): Asked {
  const { group, topicFilter = filter } = parseSharedFilter(filter) ?? {}
  return { action: 'subscribe', topic: topicFilter, group }
}

/**
 * One per value of its variables; none where one of them has no value. Of more than EXPANSIONS_MAX a rule that
 * allows has the first ones, and one that denies is about all topics that the variables could name.
 */
export function topicsOf(text: string, identity: Identity, denies: boolean): readonly RuleTopic[] {
  const [, group, filter = text] = IN_GROUP.exec(text) ?? []
  const filters = expand(filter, identity)
  const groups = group === undefined ? [undefined] : groupsOf(group, identity)
  const topics = groups.flatMap((one) => filters.map((inner) => ({ filter: inner, group: one })))
  if (topics.length <= EXPANSIONS_MAX) return topics
  if (!denies) return topics.slice(0, EXPANSIONS_MAX)
  return [{ filter: openAtVariable(filter), group: group === undefined ? undefined : ANY_GROUP }]
}

/** The levels before the first variable, and whatever follows. */
function openAtVariable(filter: string): string {
  const place = filter.search(IDENTITY_VARIABLE)
  return place === -1 ? filter : `${filter.slice(0, filter.lastIndexOf('/', place) + 1)}#`
}

/** Whether a rule decides: one that allows where it covers all that is asked, one that denies where it touches it. */
export function fitsTopic({ filter, group }: RuleTopic, allows: boolean, asked: Asked): boolean {
  if (asked.action === 'publish') return topicMatchesFilter(asked.topic, filter)
  if (!fitsGroup(group, asked.group)) return false
  return allows ? covers(filter, asked.topic) : intersects(filter, asked.topic)
}

/** Why a rule that does not fit does not. */
export function missOf(topics: readonly RuleTopic[], { action, topic, group }: Asked): string {
  const touching =
    action === 'subscribe' ? topics.filter((one) => intersects(one.filter, topic)) : []
  if (touching.length === 0) return 'is about other topics'
  return touching.some((one) => fitsGroup(one.group, group))
    ? 'allows only a part of the filter'
    : 'is about subscriptions in a group that this one is not in'
}

function fitsGroup(group: RuleGroup | undefined, asked: string | undefined): boolean {
  if (group === undefined) return true
  if (asked === undefined) return false
  return group.open ? asked.startsWith(group.name) : asked === group.name
}

function groupsOf(text: string, identity: Identity): readonly RuleGroup[] {
  if (text === '+') return [ANY_GROUP]
  const open = text.endsWith('*')
  // A URI has levels; the name of a group is one.
  return expand(open ? text.slice(0, -1) : text, identity)
    .filter((name) => !name.includes('/'))
    .map((name) => ({ name, open }))
}

function expand(text: string, identity: Identity): readonly string[] {
  // Text and variables in turn. What a value says is text, whatever it looks like.
  const parts = text.split(IDENTITY_VARIABLE)
  let filters = [parts[0] ?? '']
  for (let index = 1; index < parts.length; index += 2) {
    const values = valuesOf(parts[index] as IdentityVariable, identity)
    const rest = parts[index + 1] ?? ''
    filters = filters
      // A client that calls itself $SYS must not get what only rules that name $SYS give.
      .flatMap((filter) =>
        values
          .filter((value) => filter !== '' || !value.startsWith('$'))
          .map((value) => `${filter}${value}${rest}`),
      )
      // One too many tells that there are more.
      .slice(0, EXPANSIONS_MAX + 1)
  }
  return filters
}
