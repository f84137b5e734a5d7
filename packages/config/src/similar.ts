/** What was probably meant by a name that nobody knows. */

/** Case, separators and the start of a variable tell no names apart: `client_auth`, `clientAuth`, `client-auth`. */
function plain(name: string): string {
  return name
    .replace(/^BREAKWATER_/i, '')
    .replace(/[-_.\s]/g, '')
    .toLowerCase()
}

/** Of `known`, the nearest; undefined where nothing is near: more than a third of it would have to change. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = plain(name)
  let nearest: string | undefined
  let least = Infinity
  for (const candidate of known) {
    const other = plain(candidate)
    const changes = wanted === '' ? Infinity : editDistance(wanted, other)
    // A name that goes on, such as with _FILE, is further away than its letters say.
    const begun = Math.min(wanted.length, other.length) >= 5 && other.startsWith(wanted)
    const distance = begun ? Math.min(changes, other.length / 3) : changes
    if (distance < least && distance <= Math.max(1, other.length / 3)) {
      nearest = candidate
      least = distance
    }
  }
  return nearest
}

/** `; did you mean "listen"?`, or where to look. */
export function didYouMean(name: string, known: readonly string[], docs: string): string {
  const nearest = nearestName(name, known)
  return nearest === undefined ? `, see ${docs}` : `; did you mean "${nearest}"?`
}

/** Letters changed, put in, left out, or swapped with their neighbour. Bound: the longest name that is known. */
function editDistance(one: string, other: string): number {
  if (one.length > other.length * 2) return Infinity
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[other.length] ?? 0
}
