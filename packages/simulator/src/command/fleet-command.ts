/** The process: command line in, summary and files out, exit code set. */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { CommanderError } from 'commander'
import { createProgram, type Invocation } from './command-line.ts'
import { runFleet } from '../fleet.ts'
import { InputError } from './input-error.ts'
import { ProgressLine } from '../report/progress.ts'
import { formatReport } from '../report/report.ts'
import { ExitCode } from '../report/verdict.ts'

const LIVE_INTERVAL_MS = 250
const LINE_INTERVAL_MS = 1000

/** The first signal ends the run in order; the second one finds no handler and ends the process. */
const interruptSignal = (): AbortSignal => {
  const interrupt = new AbortController()
  const onSignal = (): void => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
    interrupt.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return interrupt.signal
}

const run = async ({ input, outPath, json }: Invocation): Promise<void> => {
  const line = new ProgressLine(process.stderr)
  const result = await runFleet(input, {
    signal: interruptSignal(),
    progressIntervalMs: line.isLive ? LIVE_INTERVAL_MS : LINE_INTERVAL_MS,
    ...(json ? {} : { onProgress: (progress) => line.show(progress) }),
  })
  if (!json) line.clear()
  const text = `${JSON.stringify(result, undefined, 1)}\n`
  if (outPath !== undefined) await writeFile(outPath, text)
  process.stdout.write(json ? text : formatReport(result, process.stdout))
  process.exitCode = result.verdict.exitCode
}

/** `fleet`, until it has ended. */
export const runFleetCommand = async (): Promise<void> => {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  try {
    await createProgram(version, run).parseAsync()
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return // --help, --version
    if (!(error instanceof CommanderError || error instanceof InputError)) throw error
    process.exitCode = ExitCode.input
    if (error instanceof CommanderError && error.code === 'commander.help') return // help is shown
    const line = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
    process.stderr.write(`fleet: ${line}\n`)
  }
}
