/** A redis-server of this machine as a child process, on a port of its own, with nothing kept on disk. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { findProgram } from '../program.ts'
import { guardProgram } from '../program-guard.ts'

export interface RedisServer extends AsyncDisposable {
  readonly url: string
  readonly pid?: number
}

/** What every Redis of the tests runs with; a test's own arguments come after and win. */
export const redisArguments = '--bind 127.0.0.1 --appendonly no --maxmemory-policy noeviction'
  .split(' ')
  .concat('--save', '')

/** Between asking for a free port and using it, another process may take it. */
const portTries = 5
const readyTimeoutMs = 10_000

export interface RedisProcessOptions {
  /** Another server than the one that tests use. */
  readonly program?: 'valkey-server' | undefined
  /** A small disk in place of a directory, for this process alone and gone with it: needs root. */
  readonly disk?: { readonly directory: string; readonly bytes: number } | undefined
  /** A sentinel: what its configuration file says beside the port. */
  readonly sentinel?: string
  /** TLS alone, and only for clients with a certificate of the authority; all PEM. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
}

export async function startRedisProcess(
  args: readonly string[],
  options: RedisProcessOptions = {},
): Promise<RedisServer> {
  const { program: name = 'redis-server' } = options
  const program = findProgram(name)
  if (program === undefined) throw new Error(`${name} not installed`)
  for (let tries = 1; ; tries++) {
    try {
      return await launch(program, await freePort(), args, options)
    } catch (error) {
      if (tries === portTries || !portTaken(error)) throw error
    }
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

export function portTaken(error: unknown): boolean {
  return (
    error instanceof Error &&
    /address already in use|failed listening|log stream ended/i.test(error.message)
  )
}

async function launch(
  program: string,
  port: number,
  args: readonly string[],
  { sentinel, tls, disk }: RedisProcessOptions,
): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'breakwater-redis-'))
  const place = tls === undefined ? ['--port', `${port}`] : await tlsArguments(directory, port, tls)
  const command = [...redisArguments, ...place, '--dir', directory, ...args]
  const sentinelFile = join(directory, 'sentinel.conf')
  if (sentinel !== undefined)
    await writeFile(sentinelFile, `bind 127.0.0.1\nport ${port}\ndir ${directory}\n${sentinel}\n`)
  const words = sentinel === undefined ? command : [sentinelFile, '--sentinel', ...args]
  const mount = `mount -t tmpfs -o size=${disk?.bytes} none "$0" && exec "$@"`
  const [runs, ...rest] =
    disk === undefined
      ? [program, ...words]
      : ['unshare', '--mount', 'sh', '-c', mount, disk.directory, program, ...words]
  const child = spawn(runs, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  const started = sentinel === undefined ? 'Ready to accept connections' : '+monitor'
  const release = child.pid === undefined ? () => undefined : guardProgram(child.pid, directory)
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const said: string[] = []
  const ready = new Promise<true>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line)
        if (line.includes(started)) resolve(true)
      })
    }
  })
  const stop = async (): Promise<void> => {
    release()
    // SIGKILL also ends a server that a test has stopped with SIGSTOP; there is nothing to save.
    child.kill('SIGKILL')
    await exited
    await rm(directory, { recursive: true, force: true })
  }
  const late = AbortSignal.timeout(readyTimeoutMs)
  if ((await Promise.race([ready, exited, once(late, 'abort')])) !== true) {
    await stop()
    throw new Error(`redis-server did not start: ${said.slice(-5).join(' | ')}`)
  }
  const url = `${tls === undefined ? 'redis' : 'rediss'}://127.0.0.1:${port}`
  return {
    url,
    ...(child.pid !== undefined && { pid: child.pid }),
    [Symbol.asyncDispose]: stop,
  }
}

async function tlsArguments(
  directory: string,
  port: number,
  files: Required<RedisProcessOptions>['tls'],
): Promise<string[]> {
  const args = ['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'yes']
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, `${name}.pem`)
    await writeFile(path, text)
    args.push(name === 'ca' ? '--tls-ca-cert-file' : `--tls-${name}-file`, path)
  }
  return args
}
