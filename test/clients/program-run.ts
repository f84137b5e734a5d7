/** A command-line client as a child process: what it said, how it ended, and a way to end it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { createInterface } from 'node:readline'

export interface ProgramEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramRun extends AsyncDisposable {
  /** Resolves with the first line of standard output, past or future, that holds this. */
  said(part: string): Promise<string>
  readonly ended: Promise<ProgramEnd>
  kill(): void
}

export interface ProgramOptions {
  readonly input?: string
  readonly timeoutMs?: number
}

export function startProgram(
  [path, ...first]: readonly [string, ...string[]],
  args: readonly string[],
  { input = '', timeoutMs = 10_000 }: ProgramOptions = {},
): ProgramRun {
  const child = spawn(path, [...first, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const late = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  // It may end without having read its input.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const lines: string[] = []
  const waiting = new Map<string, (line: string) => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const [part, resolve] of waiting) if (line.includes(part)) resolve(line)
  })
  const stderr = text(child.stderr)
  const closed = once(child, 'close')
  const ended = (async (): Promise<ProgramEnd> => {
    const [code] = (await closed) as [number | null]
    clearTimeout(late)
    return { code, stdout: lines.join('\n'), stderr: await stderr }
  })()
  return {
    ended,
    kill: () => void child.kill('SIGKILL'),
    said: async (part) => {
      const past = lines.find((line) => line.includes(part))
      if (past !== undefined) return past
      const { promise, resolve } = Promise.withResolvers<string>()
      waiting.set(part, resolve)
      const over = ended.then((end) => {
        throw new Error(`${path} ended before it said "${part}": ${JSON.stringify(end)}`)
      })
      over.catch(() => undefined)
      return await Promise.race([promise, over])
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
