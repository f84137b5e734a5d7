/**
 * What a handshake costs the server: Breakwater, Mosquitto and a bare `tls.Server` in one run, in turn.
 *
 * Judged is the CPU time of the server's process per connection that is accepted, does the handshake (TLS 1.3
 * over X25519) and is closed, full and resumed, with ECDSA P-256 and RSA 2048 keys, with client certificates and
 * without; beside it with CONNECT, CONNACK and DISCONNECT. All
 * start as processes of their own and are visited A B C then C B A, so that what else the machine does weighs on
 * all alike. Missed goals are printed. Exit code 1: Breakwater could not be measured.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import { Authority } from '@breakwater/broker'
import { sampleProcess } from '@breakwater/simulator'
import { Command } from 'commander'
import { number } from '../../kit/number-option.ts'
import { findProgram } from '../../kit/program.ts'
import { createOpensslAuthority } from '../../kit/openssl-authority.ts'
import { chooseCores, pin } from '../cores.ts'
import { visit, visitAll } from './handshake-load.ts'
import {
  describeHandshakes,
  formatHandshakes,
  HANDSHAKE_CASES,
  KINDS,
  type HandshakeCase,
  type HandshakeSample,
  type Kind,
} from './handshake-result.ts'
import {
  HANDSHAKE_SERVERS,
  startServer,
  type HandshakeServer,
  type RunningServer,
  type ServerFiles,
} from './handshake-servers.ts'

/** In the first round, and in those behind it. */
const WARM_UP_COUNTS = [300, 20] as const
const PARALLEL = 4
const SETTLE_MS = 100

interface Keys {
  readonly files: ServerFiles
  /** What clients trust, and show where they are asked. */
  readonly client: { readonly ca: string; readonly cert: string; readonly key: string }
}

async function makeKeys(kind: HandshakeCase['keys'], folder: string): Promise<Keys> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, `${kind}-${name}`), text)
    return join(folder, `${kind}-${name}`)
  }
  const openssl = findProgram('openssl')
  if (kind === 'rsa' && openssl === undefined) throw new Error('openssl is not installed')
  const authority =
    kind === 'rsa'
      ? await createOpensslAuthority(openssl as string, folder)
      : await ecdsaAuthority()
  const [server, client] = [
    await authority.issue('server', 'server'),
    await authority.issue('buoy', 'client'),
  ]
  return {
    files: {
      certFile: file('server.crt', server.cert),
      keyFile: file('server.key', server.key),
      clientCaFile: file('ca.crt', authority.pair.cert),
    },
    client: { ca: authority.pair.cert, cert: client.cert, key: client.key },
  }
}

async function ecdsaAuthority() {
  const authority = await Authority.create('handshakes')
  return {
    pair: authority.pair,
    issue: (commonName: string, usage: 'server' | 'client') =>
      authority.issue({
        commonName,
        usage,
        alternativeNames: usage === 'server' ? ['localhost'] : [],
      }),
  }
}

/** µs of CPU time of the server per connection. */
async function measure(
  server: RunningServer,
  options: ConnectionOptions,
  kind: Kind,
  { count, warmUp }: { readonly count: number; readonly warmUp: number },
): Promise<number> {
  const [resumes, connects] = [kind === 'resumed', kind === 'with-mqtt']
  // The ticket arrives after the handshake; a client that waits for CONNACK has it.
  const session = await visit(options, 'first', { resumes: false, connects: true })
  const tls = resumes && session !== undefined ? { ...options, session } : options
  const visits = { parallel: PARALLEL, resumes, connects }
  await visitAll(tls, { ...visits, count: warmUp })
  await delay(SETTLE_MS)
  const before = sampleProcess(server.pid)
  await visitAll(tls, { ...visits, count })
  await delay(SETTLE_MS)
  const after = sampleProcess(server.pid)
  if (before === undefined || after === undefined) throw new Error('the server is gone')
  return ((after.cpuMs - before.cpuMs) * 1_000) / count
}

async function run(rounds: number, count: number): Promise<HandshakeSample[]> {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-handshakes-'))
  const cores = chooseCores()
  pin(process.pid, cores?.generator)
  const samples: HandshakeSample[] = []
  try {
    const keys = { ecdsa: await makeKeys('ecdsa', folder), rsa: await makeKeys('rsa', folder) }
    for (const one of HANDSHAKE_CASES) {
      const { files, client } = keys[one.keys]
      await using stack = new AsyncDisposableStack()
      const servers = new Map<HandshakeServer, RunningServer>()
      for (const name of serverNames()) {
        const clientCaFile = one.mutual ? files.clientCaFile : undefined
        const server = stack.use(await startServer[name]({ ...files, clientCaFile }))
        pin(server.pid, cores?.broker)
        servers.set(name, server)
      }
      for (let round = 0; round < rounds; round += 1)
        for (const name of round % 2 === 0
          ? [...servers.keys()]
          : [...servers.keys()].toReversed()) {
          const server = servers.get(name) as RunningServer
          const own = one.mutual ? client : { ca: client.ca }
          const options = { ...own, port: server.port }
          for (const kind of KINDS)
            samples.push(
              await sample({ ...one, server: name, kind, round }, server, options, count),
            )
        }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return samples
}

async function sample(
  facts: HandshakeCase & {
    readonly server: HandshakeServer
    readonly kind: Kind
    readonly round: number
  },
  running: RunningServer,
  options: ConnectionOptions,
  count: number,
): Promise<HandshakeSample> {
  const { server, keys, mutual, kind, round } = facts
  const what = `${server} ${keys} ${mutual ? 'mTLS' : 'TLS'} ${kind}`
  try {
    const cpuUs = await measure(running, options, kind, {
      count,
      warmUp: WARM_UP_COUNTS[Math.min(round, 1)] ?? 0,
    })
    console.error(`${what}: ${cpuUs.toFixed(0)} µs`)
    return { ...facts, cpuUs }
  } catch (error) {
    console.error(`${what}: ${(error as Error).message}`)
    return { ...facts, invalid: (error as Error).message }
  }
}

/** Debian keeps Mosquitto where the PATH of an ordinary user does not look. */
function serverNames(): readonly HandshakeServer[] {
  const mosquitto = findProgram('mosquitto')
  if (mosquitto === undefined) return HANDSHAKE_SERVERS.filter((name) => name !== 'mosquitto')
  const path = process.env['PATH'] ?? ''
  const folder = dirname(mosquitto)
  if (!path.split(delimiter).includes(folder)) process.env['PATH'] = [path, folder].join(delimiter)
  return HANDSHAKE_SERVERS
}

const { rounds, count, out } = new Command('npm run bench:handshake --')
  .description('CPU time of a handshake: Breakwater, Mosquitto and a bare tls.Server')
  .option(
    '--rounds <count>',
    'visits of each server and case',
    number({ min: 1, max: 1_000, whole: true }),
    3,
  )
  .option('--count <handshakes>', 'of a visit', number({ min: 1, max: 100_000, whole: true }), 400)
  .option('--out <file>', 'where the result goes as JSON')
  .parse()
  .opts<{ rounds: number; count: number; out?: string }>()
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
const startedAt = new Date()
const samples = await run(rounds, count)
const result = describeHandshakes(startedAt, count, samples)
if (out !== undefined) writeFileSync(out, `${JSON.stringify(result, undefined, 2)}\n`)
console.log(formatHandshakes(result))
process.exitCode = samples.some(
  ({ server, invalid }) => server === 'breakwater' && invalid !== undefined,
)
  ? 1
  : 0
