/**
 * Topic names and topic filters as MQTT 3.1.1 section 4.7 defines them.
 *
 * `topicMatchesFilter` is the plain statement of the rules: the stores match retained messages with it, the
 * forwarding table uses it to confirm what its hashes found, and the property tests use it as the oracle.
 * Nothing here splits a string or allocates.
 */

const SLASH = 47
const PLUS = 43
const HASH = 35
const DOLLAR = 36

/** A topic to publish to: not empty, no wildcard, no NUL. [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2] */
export function isValidTopicName(topic: string): boolean {
  return (
    topic.length > 0 && !topic.includes('+') && !topic.includes('#') && !topic.includes('\u0000')
  )
}

/** A filter to subscribe to: not empty, no NUL, wildcards alone in their level and `#` only at the end. */
export function isValidTopicFilter(filter: string): boolean {
  if (filter.length === 0 || filter.includes('\u0000')) return false // [MQTT-4.7.3-1] [MQTT-4.7.3-2]
  const last = filter.length - 1
  const multi = filter.indexOf('#')
  if (multi !== -1 && (multi !== last || !startsLevel(filter, multi))) return false // [MQTT-4.7.1-2]
  for (let at = filter.indexOf('+'); at !== -1; at = filter.indexOf('+', at + 1)) {
    if (!startsLevel(filter, at)) return false // [MQTT-4.7.1-3]
    if (at !== last && filter.charCodeAt(at + 1) !== SLASH) return false // [MQTT-4.7.1-3]
  }
  return true
}

/** How many levels a topic or a filter has; empty levels count. */
export function topicLevels(topic: string): number {
  let levels = 1
  for (let at = topic.indexOf('/'); at !== -1; at = topic.indexOf('/', at + 1)) levels++
  return levels
}

/** Whether a valid filter matches more than the one topic of its own name. */
export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.endsWith('#')
}

/** True if a filter's first level is a wildcard, which keeps it away from `$` topics. [MQTT-4.7.2-1] */
function startsWithWildcard(filter: string): boolean {
  const first = filter.charCodeAt(0)
  return first === PLUS || first === HASH
}

/** True for topics such as `$SYS/...`, which filters with a leading wildcard do not match. */
export function isReservedTopic(topic: string): boolean {
  return topic.charCodeAt(0) === DOLLAR
}

/** Whether a valid topic name matches a valid filter; compared character by character. [MQTT-4.7.3-4] */
export function topicMatchesFilter(topic: string, filter: string): boolean {
  if (isReservedTopic(topic) && startsWithWildcard(filter)) return false
  let at = 0
  for (let index = 0; index < filter.length; index++) {
    const code = filter.charCodeAt(index)
    if (code === HASH) return true
    if (code === PLUS) {
      while (at < topic.length && topic.charCodeAt(at) !== SLASH) at++
    } else if (at < topic.length && topic.charCodeAt(at) === code) {
      at++
    } else {
      // `a/#` also matches its parent level `a`.
      return at === topic.length && isMultiLevelEnd(filter, index)
    }
  }
  return at === topic.length
}

function startsLevel(filter: string, at: number): boolean {
  return at === 0 || filter.charCodeAt(at - 1) === SLASH
}

function isMultiLevelEnd(filter: string, at: number): boolean {
  return (
    at + 2 === filter.length &&
    filter.charCodeAt(at) === SLASH &&
    filter.charCodeAt(at + 1) === HASH
  )
}

/** Topics that only the server publishes to. Other `$` topics are for clients to use among themselves. */
export function isServerTopic(topic: string): boolean {
  return topic === '$SYS' || topic.startsWith('$SYS/')
}
