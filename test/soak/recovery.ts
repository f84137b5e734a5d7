/** How soon after each kind of fault every publisher was acknowledged again. */
import { indexHistory } from './check/history-index.ts'
import type { HistoryLine } from './history.ts'

export interface Recovery {
  readonly fault: string
  /** From the end of the fault to the acknowledgement that was waited for longest, ms. */
  readonly tookMs: number
}

export function recoveriesOf(lines: readonly HistoryLine[]): Recovery[] {
  const index = indexHistory(lines)
  const acknowledged = new Map<string, { readonly sent: number; readonly at: number }[]>()
  for (const { sends, acknowledged: seq } of index.published.values()) {
    const [send] = sends
    const line = seq === undefined ? undefined : lines[seq]
    if (send === undefined || line === undefined) continue
    const list = acknowledged.get(send.client) ?? []
    acknowledged.set(send.client, list)
    list.push({ sent: send.seq, at: line.at })
  }
  const recoveries: Recovery[] = []
  for (const [seq, line] of lines.entries()) {
    if (line.kind !== 'fault' || line.phase !== 'end') continue
    const firsts = [...acknowledged.values()].map((list) => list.find(({ sent }) => sent > seq)?.at)
    // No client publishes after the last ones.
    if (firsts.length === 0 || firsts.some((at) => at === undefined)) continue
    const last = Math.max(...firsts.map((at) => at ?? 0))
    recoveries.push({ fault: line.fault, tookMs: last - line.at })
  }
  return recoveries
}
