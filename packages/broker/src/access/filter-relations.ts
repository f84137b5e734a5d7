/**
 * How two filters stand to each other as sets of topics. Both must be valid [MQTT-4.7]. A filter that begins
 * with a wildcard has no topic that begins with `$` [MQTT-4.7.2-1].
 */

/** Whether every topic that `inner` matches is matched by `outer`. Two spellings of one set aside, exact. */
export function covers(outer: string, inner: string): boolean {
  const [wide, narrow] = [outer.split('/'), inner.split('/')]
  if (keepsOut(wide, narrow)) return false
  for (const [index, level] of wide.entries()) {
    // `a/#` matches `a` too.
    if (level === '#') return true
    const other = narrow[index]
    if (other === undefined || other === '#') return false
    if (level !== '+' && level !== other) return false
  }
  return narrow.length === wide.length
}

/** Whether there is a topic that both match. */
export function intersects(first: string, second: string): boolean {
  const [a, b] = [first.split('/'), second.split('/')]
  if (keepsOut(a, b) || keepsOut(b, a)) return false
  for (let index = 0; ; index += 1) {
    const [x, y] = [a[index], b[index]]
    const ended = x === undefined || y === undefined
    if (x === '#' || y === '#') {
      // `/#` and `+` would meet at the topic without a name.
      return !ended || index > 1 || (a[0] !== '' && b[0] !== '')
    }
    if (ended) return x === y
    if (x !== y && x !== '+' && y !== '+') return false
  }
}

/** A leading wildcard against a `$` topic. */
function keepsOut([first]: readonly string[], [other]: readonly string[]): boolean {
  return (first === '+' || first === '#') && other?.startsWith('$') === true
}
