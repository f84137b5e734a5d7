/** The fleet command as a process: output, files and exit codes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { FleetResult } from '@breakwater/simulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMosquitto, type Mosquitto } from '../kit/mosquitto.ts'
import { findProgram, skipWithout } from '../kit/program.ts'

const MAIN = fileURLToPath(new URL('../../packages/simulator/src/main.ts', import.meta.url))

interface Finished {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `fleet`; `interruptAt` ends it with SIGINT once that text was on stderr. */
const fleet = async (args: readonly string[], interruptAt?: string): Promise<Finished> => {
  const child = spawn(process.execPath, ['--conditions=source', MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (interruptAt !== undefined) {
    child.stderr.on('data', (chunk: Buffer) => {
      if (chunk.includes(interruptAt)) child.kill('SIGINT')
    })
  }
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { exitCode, stdout, stderr }
}

test.each([
  ['an empty command line', [], /^Usage: fleet/],
  ['a missing broker', ['pub'], /^fleet: required option '--url <urls>' not specified\n$/],
  ['an unknown command', ['pubs'], /^fleet: unknown command 'pubs'.*\n$/],
  [
    'an unknown option',
    ['connect', '--url', 'mqtt://a', '--rat', '1'],
    /^fleet: unknown option.*\n$/,
  ],
  [
    'a bad value',
    ['pub', '--url', 'mqtt://a', '--rate', 'x'],
    /^fleet: --rate: "x" is not a number\n$/,
  ],
  [
    'a bad URL',
    ['pub', '--url', 'http://a'],
    /^fleet: --url: "http:\/\/a" is not of the form .*\n$/,
  ],
  [
    'a missing CA file',
    ['pub', '--url', 'mqtts://a', '--ca', '/none'],
    /^fleet: --ca: \/none cannot be read.*\n$/,
  ],
  [
    'a CA file that is not a certificate',
    ['pub', '--url', 'mqtts://a', '--ca', MAIN],
    /^fleet: --ca: .* no PEM certificate\n$/,
  ],
  ['a missing folder', ['pub', '--url', 'mqtt://a', '--out', '/none/x'], /^fleet: --out: .*\n$/],
])(
  'the fleet command refuses %s with one line on stderr and exit code 1',
  async (_, args, message) => {
    const { exitCode, stdout, stderr } = await fleet(args)
    expect(exitCode).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toMatch(message)
  },
)

test('the fleet command exits with code 0 at --help and --version', async () => {
  const help = await fleet(['pubsub', '--help'])
  expect(help.exitCode).toBe(0)
  expect(help.stdout).toMatch(/--pattern/)
  expect(await fleet(['--version'])).toMatchObject({ exitCode: 0, stdout: '0.1.0\n' })
})

test('the fleet command exits with code 2 when no broker listens, and the summary says so', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const { exitCode, stdout } = await fleet(['connect', '--url', `mqtt://127.0.0.1:${port}`])
  expect(exitCode).toBe(2)
  expect(stdout).toMatch(/^FAIL: 1 of 10 devices could not connect: .*ECONNREFUSED/m)
})

/** Lateness is not judged: other tests may share the core. */
const LOAD = { rate: '500', duration: '1200ms', 'lag-bound': '1m' }

const suite = (): void => {
  let folder: string
  let mosquitto: Mosquitto
  let load: readonly string[]

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'breakwater-fleet-command-'))
    mosquitto = await startMosquitto({ users: { device: 'a secret' } })
    await writeFile(join(folder, 'password'), 'a secret\n')
    const url = `mqtt://127.0.0.1:${mosquitto.port}`
    const passwordFile = join(folder, 'password')
    const options = { url, username: 'device', 'password-file': passwordFile, ...LOAD }
    load = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  })

  afterAll(async () => {
    await mosquitto[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  test('a fleet run without faults writes progress to stderr, a summary to stdout, and the result into the file', async () => {
    const out = join(folder, 'run.json')
    const slo = ['--slo', 'loss==0', '--slo', 'e2e.p99<1m']
    const { exitCode, stdout, stderr } = await fleet(['pubsub', ...load, ...slo, '--out', out])
    expect(exitCode).toBe(0)
    expect(stderr).toMatch(/^(connect|measure|drain) +00:01\/00:01 · 10\/10 up.*\n/)
    expect(stderr).not.toContain('\u001b')
    expect(stdout).toMatch(/^fleet pubsub · pairs · 10 devices · QoS 0 /)
    expect(stdout).toMatch(/published +600 messages/)
    expect(stdout).toMatch(/✓ loss==0/)
    expect(stdout).toMatch(/\nPASS\n$/)
    const result = JSON.parse(await readFile(out, 'utf8')) as FleetResult
    expect(result).toMatchObject({
      schema: 'breakwater-fleet/1',
      options: { command: 'pubsub', seed: 42, rate: 500 },
      verdict: { exitCode: 0 },
      delivered: { total: 600 },
    })
    expect(result.timeline.length).toBeGreaterThan(0)
    expect(JSON.stringify(result)).not.toContain('a secret')
  })

  test('the fleet command with --json writes the result to stdout and nothing else', async () => {
    const { exitCode, stdout, stderr } = await fleet(['pubsub', ...load, '--json'])
    expect(exitCode).toBe(0)
    expect(stderr).toBe('')
    expect((JSON.parse(stdout) as FleetResult).delivered.total).toBe(600)
  })

  test('the fleet command exits with code 3 when a threshold is missed', async () => {
    const { exitCode, stdout } = await fleet(['pubsub', ...load, '--slo', 'e2e.p50<1us'])
    expect(exitCode).toBe(3)
    expect(stdout).toMatch(/✗ e2e.p50<1us/)
    expect(stdout).toMatch(/\nFAIL: threshold missed: e2e.p50<1us\n$/)
  })

  test('the fleet command exits with code 130 at Ctrl-C, and still writes the report', async () => {
    const out = join(folder, 'interrupted.json')
    const args = ['pubsub', ...load, '--duration', '1m', '--out', out]
    const { exitCode, stdout } = await fleet(args, 'measure')
    expect(exitCode).toBe(130)
    expect(stdout).toMatch(/\nINTERRUPTED\n$/)
    const result = JSON.parse(await readFile(out, 'utf8')) as FleetResult
    expect(result.run.interrupted).toBe(true)
    expect(result.delivered.total).toBe(result.published.total)
  })
}

if (findProgram('mosquitto') === undefined) {
  test('fleet against Mosquitto', (context) => void skipWithout(context, 'mosquitto'))
} else {
  describe('fleet against Mosquitto', suite)
}
