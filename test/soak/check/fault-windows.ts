/** When something was broken: what is bounded in time is bounded in the time in which nothing was. */
import type { HistoryLine } from '../history.ts'

export interface Windows {
  /** How much of the time between these two was calm, ms. */
  calmMs(from: number, to: number): number
  /** Whether all of it was. */
  isCalm(from: number, to: number): boolean
}

/** Each fault counts until `recoverMs` after its end. */
export function faultWindows(lines: readonly HistoryLine[], recoverMs: number): Windows {
  const open = new Map<string, number>()
  const windows: [from: number, to: number][] = []
  for (const line of lines) {
    if (line.kind !== 'fault') continue
    const key = `${line.fault} ${line.target}`
    if (line.phase === 'begin') open.set(key, line.at)
    else {
      windows.push([open.get(key) ?? line.at, line.at + recoverMs])
      open.delete(key)
    }
  }
  for (const from of open.values()) windows.push([from, Infinity])
  windows.sort(([one], [other]) => one - other)
  return {
    isCalm: (from, to) => windows.every(([begin, end]) => end <= from || begin >= to),
    calmMs: (from, to) => {
      let calm = 0
      let now = from
      for (const [begin, end] of windows) {
        if (end <= now) continue
        if (begin >= to) break
        calm += Math.max(0, begin - now)
        now = end
      }
      return calm + Math.max(0, to - now)
    },
  }
}

/** What may have kept this client's node from hearing it, or from what Redis and the others know. */
export function faultsNear(
  lines: readonly HistoryLine[],
  { client, node }: { readonly client: string; readonly node: string },
): HistoryLine[] {
  const [name] = node.split('#')
  return lines.filter(
    (line) =>
      line.kind === 'fault' &&
      // The last one names the client that it moves, and cuts off the node that the client was at.
      ([client, name, 'redis'].includes(line.target) || line.fault === 'fenced-take-over'),
  )
}
