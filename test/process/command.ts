/** The `breakwater` command as a person runs it: arguments, variables and standard input in; what it says out. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { programEnvironment } from '../kit/program-environment.ts'

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
  readonly directory: string
}

export interface CommandEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const main = fileURLToPath(new URL('../../packages/broker/src/main.ts', import.meta.url))
const timeoutMs = 50_000

/** The command while it runs. */
export function startBreakwater(
  args: readonly string[],
  { environment = {}, directory }: CommandOptions,
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--conditions=source', main, ...args], {
    cwd: directory,
    env: { ...programEnvironment(), ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** Runs to the end; a command that does not come to one is killed, and its code is null. */
export async function breakwater(
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandEnd> {
  const child = startBreakwater(args, options)
  const late = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  // It may end without having read its input.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  clearTimeout(late)
  return { code, stdout, stderr }
}

/** It has failed with this one line, which names what is wrong, and without a stack. */
export function expectOneLine({ code, stderr }: CommandEnd, line: RegExp): void {
  expect(stderr).toMatch(line)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(code).toBe(1)
}
