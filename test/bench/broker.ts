/** Every broker as a process of its own on loopback, as its makers would have it run. */
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sampleProcess } from '@breakwater/simulator'
import { startMosquitto } from '../kit/mosquitto.ts'
import { guardProgram } from '../kit/program-guard.ts'
import { findProgram } from '../kit/program.ts'
import { startNodeProcess, type Memory, type NodeProcess } from './node-process.ts'

export const BROKER_NAMES = ['breakwater', 'stock', 'mosquitto'] as const
export type BrokerName = (typeof BROKER_NAMES)[number]

export interface Certificates {
  readonly folder: string
  readonly ca: string
  readonly certFile: string
  readonly keyFile: string
}

export interface BrokerOptions {
  readonly secure: boolean
  readonly certificates: Certificates
  /** Whether `memory` is to be asked for. */
  readonly measuresMemory?: boolean
  /** Breakwater only: where to leave a CPU profile. */
  readonly profileFolder?: string | undefined
}

export interface BenchBroker extends AsyncDisposable {
  readonly pid: number
  readonly url: string
  /** After all garbage has been collected, where there is any. */
  memory(): Promise<Memory>
}

/** What a reader has to know to do the same. */
export const CONFIGURATION: Readonly<Record<BrokerName | 'bare', string>> = {
  breakwater: 'embedded node (state in memory), default limits, compiled',
  stock: 'aedes, its persistence and emitter in memory, defaults',
  mosquitto:
    'max_queued_messages 0, max_inflight_messages 0 (no limit, so that nothing is lost), log_dest none, otherwise defaults',
  bare: 'tls.Server with one small object per socket',
}

const BREAKWATER = new URL('../../packages/broker/dist/main.js', import.meta.url)
const STOCK = new URL('./stock-process.ts', import.meta.url)
const BARE = new URL('./handshake/bare-tls-process.mjs', import.meta.url)
const SOURCE = ['--conditions=source']

/** One certificate for all, made by Breakwater. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const run = promisify(execFile)
  await run(process.execPath, [fileURLToPath(BREAKWATER), 'dev-certs', folder])
  return {
    folder,
    ca: readFileSync(join(folder, 'ca.crt'), 'utf8'),
    certFile: join(folder, 'server.crt'),
    keyFile: join(folder, 'server.key'),
  }
}

/** Undefined where Mosquitto is not installed. */
export function mosquittoVersion(): string | undefined {
  const program = findProgram('mosquitto')
  if (program === undefined) return undefined
  try {
    return execFileSync(program, ['-h'], { encoding: 'utf8' }).split('\n', 1)[0]
  } catch (error) {
    // Up to 2.0 it shows its help and ends with 3.
    return (error as { stdout?: string }).stdout?.split('\n', 1)[0]
  }
}

export const startBroker: Readonly<
  Record<BrokerName | 'bare', (options: BrokerOptions) => Promise<BenchBroker>>
> = {
  async breakwater({ secure, certificates, measuresMemory = false, profileFolder }) {
    const profile =
      profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
    return withUrl(
      await startNodeProcess({
        entry: BREAKWATER,
        args: ['serve'],
        nodeArgs: profile,
        measuresMemory,
        env: {
          BREAKWATER_LISTEN: `${secure ? 'mqtts' : 'mqtt'}://127.0.0.1:0`,
          BREAKWATER_ADMIN: 'http://127.0.0.1:0',
          BREAKWATER_DEV_DIR: certificates.folder,
        },
      }),
    )
  },
  async stock({ secure, certificates, measuresMemory = false }) {
    const { certFile, keyFile } = certificates
    const args = secure ? ['mqtts', certFile, keyFile] : ['mqtt']
    return withUrl(await startNodeProcess({ entry: STOCK, args, nodeArgs: SOURCE, measuresMemory }))
  },
  async bare({ certificates: { certFile, keyFile }, measuresMemory = false }) {
    const args = [certFile, keyFile]
    return withUrl(await startNodeProcess({ entry: BARE, args, measuresMemory }))
  },
  async mosquitto({ secure, certificates: { certFile, keyFile } }) {
    const lines = secure ? [`certfile ${certFile}`, `keyfile ${keyFile}`] : []
    const mosquitto = await startMosquitto({ lines })
    const { host, port, pid } = mosquitto
    const release = guardProgram(pid, '')
    return {
      pid,
      url: `${secure ? 'mqtts' : 'mqtt'}://${host}:${port}`,
      memory: () => Promise.resolve({ residentBytes: sampleProcess(pid)?.residentBytes ?? 0 }),
      async [Symbol.asyncDispose]() {
        await mosquitto[Symbol.asyncDispose]()
        release()
      },
    }
  },
}

function withUrl(node: NodeProcess): BenchBroker {
  const [url = ''] = node.urls
  return {
    pid: node.pid,
    url,
    memory: () => node.memory(),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  }
}
