/** A Node process that is measured: started, ready, asked for its memory, ended. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { guardProgram } from '../kit/program-guard.ts'

const MEASURES_MEMORY = [
  '--expose-gc',
  '--max-semi-space-size=1',
  '--no-flush-bytecode',
  `--import=${new URL('./memory-probe.mjs', import.meta.url).href}`,
]
const STOP_TIMEOUT_MS = 10_000
const STDERR_KEPT = 2_000

export interface NodeProcessOptions {
  readonly entry: URL
  readonly args?: readonly string[]
  readonly nodeArgs?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /**
   * Whether `memory` is to be asked for. The process then can be told to collect its garbage, its young
   * generation stays small and compiled code is kept: by default the one grows to 48 MiB and the other is
   * dropped, each in its own time, which has nothing to do with the number of connections.
   */
  readonly measuresMemory?: boolean
}

export interface Memory {
  readonly residentBytes: number
  /** Of it in objects of V8; unknown for what is not Node. */
  readonly heapBytes?: number
}

export interface NodeProcess extends AsyncDisposable {
  readonly pid: number
  /** Addresses in its line `node is ready`. */
  readonly urls: readonly string[]
  /** After all garbage has been collected. */
  memory(): Promise<Memory>
}

/** Starts a program that says where it listens as Breakwater does: as a JSON line. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const { entry, args = [], nodeArgs = [], env = {}, measuresMemory = false } = options
  const probe = measuresMemory ? MEASURES_MEMORY : []
  const child = spawn(
    process.execPath,
    [...nodeArgs, ...probe, fileURLToPath(entry), ...args],
    // Nothing of this process's environment decides how a broker runs, except where to find things.
    {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      stdio: ['ignore', 'pipe', 'pipe', measuresMemory ? 'ipc' : 'ignore'],
    },
  )
  await once(child, 'spawn')
  const pid = child.pid as number
  const release = guardProgram(pid, '')
  void once(child, 'exit').then(release)
  try {
    const urls = await readiness(child)
    return {
      pid,
      urls,
      memory: () => collect(child),
      [Symbol.asyncDispose]: () => stop(child),
    }
  } catch (error) {
    await stop(child)
    throw error
  }
}

async function readiness(child: ChildProcess): Promise<readonly string[]> {
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) throw new Error('the process has no output to read')
  let said = ''
  stderr.setEncoding('utf8')
  stderr.on('data', (text: string) => {
    said = (said + text).slice(-STDERR_KEPT)
  })
  const ready = Promise.withResolvers<readonly string[]>()
  // Read to the end of its days: a full pipe would stop the process.
  createInterface({ input: stdout }).on('line', (text) => {
    if (!text.includes('"node is ready"')) return
    ready.resolve((JSON.parse(text) as { listen: string[] }).listen)
  })
  child.once('exit', (code, signal) => {
    ready.reject(new Error(`ended with ${signal ?? code} before it was ready: ${said.trim()}`))
  })
  return ready.promise
}

async function collect(child: ChildProcess): Promise<Memory> {
  const answer = once(child, 'message')
  child.send('collect')
  const [{ rss, heapUsed }] = (await answer) as [NodeJS.MemoryUsage]
  return { residentBytes: rss, heapBytes: heapUsed }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const last = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(last)
}
