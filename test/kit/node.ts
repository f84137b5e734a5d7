/** Nodes for tests: in this process on free ports, or as a process of their own that can be killed. */
import { once } from 'node:events'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable, type Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { setPassword, startNode as startBreakwater } from '@breakwater/broker'
import { decideConfig, limitVariable, readSettings, type Limits } from '@breakwater/config'
import { pino } from 'pino'
import { temporaryDirectory } from './temporary-directory.ts'
import { programEnvironment } from './program-environment.ts'

export interface NodeOptions {
  /** Unset: embedded, in memory. */
  readonly redisUrl?: string
  readonly redisPrefix?: string
  /** Names and passwords; anonymous clients are refused then, unless allowed. */
  readonly users?: Readonly<Record<string, string>>
  readonly allowAnonymous?: boolean
  readonly limits?: Partial<Limits>
  /** Default: plain and TLS, both on free ports. */
  readonly listen?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** The program of a node that is a process: default, that of this checkout. */
  readonly main?: string
  /** Where such a process writes its errors: a file descriptor. Default: where this one does. */
  readonly stderr?: number
  /** How long it may take to be ready; then it is killed. Default: for ever. */
  readonly readyWithinMs?: number
}

export type LogLine = Readonly<Record<string, unknown>>

export interface TestNode extends AsyncDisposable {
  readonly id: string
  readonly host: '127.0.0.1'
  /** Of the first plain listener. */
  readonly port: number
  readonly tlsPort: number
  /** Of all listeners, in their order. */
  readonly ports: readonly number[]
  readonly adminPort: number
  /** PEM of the CA that signed the TLS listener's certificate. */
  readonly ca: string
  readonly caPath: string
  logs(): readonly LogLine[]
  /** Reasons of all connections that have ended so far. */
  closeReasons(): string[]
  /** Resolves with the first line, past or future, that fits. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>
}

const LISTEN = ['mqtt://127.0.0.1:0', 'mqtts://127.0.0.1:0']
/** One development CA per test process: making one per node would be most of a short test. */
const devDir = temporaryDirectory('ca-')

export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const log = new LogTail()
  const environment = await environmentOf(options)
  const node = await startBreakwater({
    config: decideConfig(readSettings(environment)),
    logger: pino(
      { level: 'debug', base: null, formatters: { level: (level) => ({ level }) } },
      log.stream(),
    ),
  })
  const port = (protocol: string): number =>
    node.listeners.find(({ url }) => url.startsWith(`${protocol}://`))?.port ?? 0
  return {
    ...log.views(),
    id: node.id,
    host: '127.0.0.1',
    port: port('mqtt'),
    tlsPort: port('mqtts'),
    ports: node.listeners.map((listener) => listener.port),
    adminPort: node.adminPort,
    caPath: join(devDir, 'ca.crt'),
    get ca() {
      return readFileSync(join(devDir, 'ca.crt'), 'utf8')
    },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  }
}

export interface NodeProcess extends TestNode {
  readonly process: ChildProcess
  /** Resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>
}

/** The program of this checkout. */
export const MAIN: string = fileURLToPath(
  new URL('../../packages/broker/src/main.ts', import.meta.url),
)

/** A node in a process of its own, for `kill -9` and for what it costs. */
export async function spawnNode(options: NodeOptions = {}): Promise<NodeProcess> {
  const log = new LogTail()
  const child = spawn(process.execPath, ['--conditions=source', options.main ?? MAIN, 'serve'], {
    env: { ...programEnvironment(), ...(await environmentOf(options)) },
    stdio: ['ignore', 'pipe', options.stderr ?? 'inherit'],
  }) as ChildProcess & { readonly stdout: Readable }
  createInterface({ input: child.stdout }).on('line', (line) => {
    // The last one of a process that was killed may be cut.
    if (line.endsWith('}')) log.add(line)
  })
  const exited = once(child, 'exit')
  const ready = log.logged(({ msg }) => msg === 'node is ready')
  const failed = exited.then(([code]) => {
    throw new Error(`the node exited with ${code} before it was ready`)
  })
  const { readyWithinMs } = options
  const late =
    readyWithinMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), readyWithinMs)
  const line = await Promise.race([ready, failed]).finally(() => clearTimeout(late))
  failed.catch(() => undefined)
  const urls = line['listen'] as string[]
  const port = (protocol: string): number =>
    Number(new URL(urls.find((url) => url.startsWith(`${protocol}://`)) ?? 'x://x:0').port)
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
  }
  return {
    ...log.views(),
    process: child,
    kill,
    id: String(line['nodeId']),
    host: '127.0.0.1',
    port: port('mqtt'),
    tlsPort: port('mqtts'),
    ports: urls.map((url) => Number(new URL(url).port)),
    adminPort: Number(new URL(String(line['admin'])).port),
    caPath: join(devDir, 'ca.crt'),
    get ca() {
      return readFileSync(join(devDir, 'ca.crt'), 'utf8')
    },
    [Symbol.asyncDispose]: () => kill('SIGKILL'),
  }
}

async function environmentOf(options: NodeOptions): Promise<Record<string, string>> {
  const environment: Record<string, string> = {
    BREAKWATER_LISTEN: (options.listen ?? LISTEN).join(','),
    BREAKWATER_ADMIN: 'http://127.0.0.1:0',
    BREAKWATER_DEV_DIR: devDir,
    BREAKWATER_LOG_LEVEL: 'debug',
    BREAKWATER_SHUTDOWN_TIMEOUT: '5s',
    // A busy machine delays every process; no client is to be refused for that.
    [limitVariable('loopDelayMaxMs')]: '60000',
    // A test reads what happened from the lines: none may be missing.
    [limitVariable('logLinesPerSecondMax')]: '0',
    [limitVariable('logLinesPerClientPerSecondMax')]: '0',
  }
  const { redisUrl, redisPrefix, users, allowAnonymous = users === undefined } = options
  if (redisUrl !== undefined) environment['BREAKWATER_REDIS_URL'] = redisUrl
  if (redisPrefix !== undefined) environment['BREAKWATER_REDIS_PREFIX'] = redisPrefix
  environment['BREAKWATER_ALLOW_ANONYMOUS'] = String(allowAnonymous)
  if (users !== undefined) {
    let text = ''
    for (const [name, password] of Object.entries(users))
      text = await setPassword(text, name, password)
    const path = join(mkdtempSync(join(devDir, 'users-')), 'passwords')
    writeFileSync(path, text)
    environment['BREAKWATER_PASSWORD_FILE'] = path
  }
  for (const [name, value] of Object.entries(options.limits ?? {}))
    environment[limitVariable(name as keyof Limits)] = String(value)
  return { ...environment, ...options.environment }
}

/** What a node has logged, and the callers that wait for more. */
export class LogTail {
  readonly #lines: LogLine[] = []
  readonly #waiting = new Set<(line: LogLine) => void>()

  add(text: string): void {
    const line = JSON.parse(text) as LogLine
    this.#lines.push(line)
    for (const waiter of this.#waiting) waiter(line)
  }

  stream(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.add(chunk.toString())
        done()
      },
    })
  }

  logged(fits: (line: LogLine) => boolean): Promise<LogLine> {
    const past = this.#lines.find(fits)
    if (past !== undefined) return Promise.resolve(past)
    return new Promise((resolve) => {
      const waiter = (line: LogLine): void => {
        if (!fits(line)) return
        this.#waiting.delete(waiter)
        resolve(line)
      }
      this.#waiting.add(waiter)
    })
  }

  views(): Pick<TestNode, 'logs' | 'closeReasons' | 'logged'> {
    return {
      logs: () => this.#lines,
      closeReasons: () =>
        this.#lines
          .filter(({ msg }) => msg === 'connection closed')
          .map(({ reason }) => String(reason)),
      logged: (fits) => this.logged(fits),
    }
  }
}
