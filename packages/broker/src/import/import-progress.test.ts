import { afterEach, describe, expect, it, vi } from 'vitest'
import { showProgress } from './import-progress.ts'
import { ImportReport } from './import-report.ts'

afterEach(() => vi.useRealTimers())

function shownIn(ms: number, isTTY: boolean): string[] {
  vi.useFakeTimers()
  const written: string[] = []
  const stream = { isTTY, write: (text: string | Uint8Array) => written.push(String(text)) > 0 }
  const report = new ImportReport(false)
  report.sessions.imported = 3
  report.read = 7
  const shown = showProgress(stream, report, 10)
  vi.advanceTimersByTime(ms)
  shown[Symbol.dispose]()
  vi.advanceTimersByTime(60_000)
  return written
}

describe('the progress of an import', () => {
  it('is printed as a line at intervals outside a terminal', () => {
    expect(shownIn(4_000, false)).toEqual([])
    const line = 'import: 3 of 10 sessions, 7 messages, 0 retained\n'
    expect(shownIn(11_000, false)).toEqual([line, line])
  })

  it('is one changing line on a terminal, removed at the end', () => {
    const line = '\rimport: 3 of 10 sessions, 7 messages, 0 retained'
    expect(shownIn(500, true)).toEqual([line, line, '\r\u001B[K'])
  })
})
