/** How far an import is, on standard error: one line that changes on a terminal, else a line now and then. */
import type { WriteStream } from 'node:tty'
import type { ImportReport } from './import-report.ts'

const TERMINAL_MS = 200
const LINE_MS = 5_000

export function showProgress(
  stream: Pick<WriteStream, 'isTTY' | 'write'>,
  report: ImportReport,
  sessions: number,
): Disposable {
  const show = (): void => {
    const { imported, before, existing } = report.sessions
    const text = `import: ${imported + before + existing} of ${sessions} sessions, ${report.read} messages, ${report.retained.imported} retained`
    stream.write(stream.isTTY ? `\r${text}` : `${text}\n`)
  }
  const timer = setInterval(show, stream.isTTY ? TERMINAL_MS : LINE_MS)
  timer.unref()
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
      if (stream.isTTY) stream.write('\r\u001B[K')
    },
  }
}
