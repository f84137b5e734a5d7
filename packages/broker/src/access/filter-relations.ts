/**
 * How two filters stand to each other as sets of topics. Both must be valid [MQTT-4.7]. A filter that begins
 * with a wildcard has no topic that begins with `$` [MQTT-4.7.2-1]. Nothing here splits a string: every filter of
 * a SUBSCRIBE is compared with those of every rule, and most end in their first level.
 */

const SLASH = 47
const PLUS = 43
const HASH = 35
const DOLLAR = 36

/** Whether every topic that `inner` matches is matched by `outer`. Two spellings of one set aside, exact. */
export function covers(outer: string, inner: string): boolean {
  if (keepsOut(outer, inner)) return false
  let [at, other] = [0, 0]
  while (at <= outer.length) {
    // `a/#` matches `a` too.
    if (outer.charCodeAt(at) === HASH) return true
    if (other > inner.length || inner.charCodeAt(other) === HASH) return false
    const [end, otherEnd] = [levelEnd(outer, at), levelEnd(inner, other)]
    if (outer.charCodeAt(at) !== PLUS && !sameLevel(outer, at, end, inner, other, otherEnd))
      return false
    at = end + 1
    other = otherEnd + 1
  }
  return other > inner.length
}

/** Whether there is a topic that both match. */
export function intersects(first: string, second: string): boolean {
  if (keepsOut(first, second) || keepsOut(second, first)) return false
  let [at, other] = [0, 0]
  for (let level = 0; ; level += 1) {
    const [ended, otherEnded] = [at > first.length, other > second.length]
    const [code, otherCode] = [first.charCodeAt(at), second.charCodeAt(other)]
    if (code === HASH || otherCode === HASH) {
      // `/#` and `+` would meet at the topic without a name.
      return !(ended || otherEnded) || level > 1 || !(hasNoName(first) || hasNoName(second))
    }
    if (ended || otherEnded) return ended && otherEnded
    const [end, otherEnd] = [levelEnd(first, at), levelEnd(second, other)]
    const isAny = code === PLUS || otherCode === PLUS
    if (!isAny && !sameLevel(first, at, end, second, other, otherEnd)) return false
    at = end + 1
    other = otherEnd + 1
  }
}

/** A leading wildcard against a `$` topic. */
function keepsOut(filter: string, other: string): boolean {
  const code = filter.charCodeAt(0)
  return (code === PLUS || code === HASH) && other.charCodeAt(0) === DOLLAR
}

/** Whether the first level is empty. */
function hasNoName(filter: string): boolean {
  return filter.charCodeAt(0) === SLASH
}

function levelEnd(filter: string, start: number): number {
  const slash = filter.indexOf('/', start)
  return slash === -1 ? filter.length : slash
}

function sameLevel(
  a: string,
  start: number,
  end: number,
  b: string,
  otherStart: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - otherStart) return false
  for (let index = start; index < end; index += 1)
    if (a.charCodeAt(index) !== b.charCodeAt(otherStart + index - start)) return false
  return true
}
