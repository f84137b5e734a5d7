/** Ids of Redis Streams: `<ms>-<number>`. */

export function compareIds(a: string, b: string): number {
  const [aMs, aNumber] = partsOf(a)
  const [bMs, bNumber] = partsOf(b)
  return aMs === bMs ? aNumber - bNumber : aMs - bMs
}

/** The next one that there can be. */
export function idAfter(id: string): string {
  const [ms, number] = partsOf(id)
  return `${ms}-${number + 1}`
}

function partsOf(id: string): readonly [ms: number, number: number] {
  const [ms, number] = id.split('-')
  return [Number(ms), Number(number)]
}
