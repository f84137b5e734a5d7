/**
 * A storm: three nodes on one Redis, devices over TLS on all of them, and one node killed. The devices of that
 * node are one process, those of the others another, so that what the first has to do does not colour what
 * the second measures.
 *
 * In: how many devices, with which limits. Out: what it cost whom. Bounds: `patienceMs` for all to be back.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Limits } from '@breakwater/config'
import { nowUs, sampleProcess } from '@breakwater/simulator'
import { spawnNode, type NodeProcess } from '../../kit/node.ts'
import { guardProgram } from '../../kit/program-guard.ts'
import { startRedis } from '../../kit/redis/redis.ts'
import { temporaryDirectory } from '../../kit/temporary-directory.ts'
import type { CrowdReport, PhaseReport } from './crowd.ts'
import type { CrowdAnswers, CrowdRequest } from './crowd-process.ts'

export interface StormOptions {
  readonly devices: number
  /** Messages per second of all devices together. */
  readonly ratePerSecond: number
  readonly calmMs: number
  readonly limits: Partial<Limits>
  readonly patienceMs: number
  readonly onProgress?: (line: string) => void
}

export interface StormReport {
  readonly devices: number
  /** Of the node that was killed. */
  readonly displaced: number
  readonly ratePerSecond: number
  /** From the kill until this number of the displaced devices was ready again; undefined if they never were. */
  readonly backMs: { readonly p50?: number; readonly p99?: number; readonly all?: number }
  readonly calm: { readonly stayed: PhaseReport }
  readonly storm: { readonly stayed: PhaseReport; readonly displaced: PhaseReport }
  readonly stayed: CrowdReport
  readonly displacedBooks: CrowdReport
  readonly killedAtUs: number
  /** Cores in use between the kill and the last one back. */
  readonly cores: Readonly<Record<string, number>>
  /** What the nodes that stayed closed, by reason, of all their life. */
  readonly closed: Readonly<Record<string, number>>
}

const AFTER_MS = 2_000
const POLL_MS = 100
const CROWD = fileURLToPath(new URL('./crowd-process.ts', import.meta.url))

export async function runStorm(options: StormOptions): Promise<StormReport> {
  const {
    devices,
    ratePerSecond,
    calmMs,
    patienceMs,
    limits,
    onProgress = () => undefined,
  } = options
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: ['--save', ''] }))
  const ticketKey = join(temporaryDirectory('storm-'), 'ticket-key')
  writeFileSync(ticketKey, randomBytes(48))
  const nodes: NodeProcess[] = []
  for (let count = 0; count < 3; count += 1)
    nodes.push(
      stack.use(
        await spawnNode({
          listen: ['mqtts://127.0.0.1:0'],
          limits,
          redisUrl: redis.url,
          redisPrefix: redis.prefix,
          environment: { BREAKWATER_TLS_TICKET_KEY: ticketKey, BREAKWATER_LOG_LEVEL: 'info' },
        }),
      ),
    )
  const [victim, ...others] = nodes as [NodeProcess, NodeProcess, NodeProcess]
  const ports = others.map(({ tlsPort }) => tlsPort)
  const displacedCount = Math.floor(devices / 3)
  const stayed = stack.use(await startCrowd())
  const displaced = stack.use(await startCrowd())
  await Promise.all([
    stayed.ask({
      kind: 'connect',
      options: { name: 'stayed', devices: devices - displacedCount, ports, ca: victim.ca },
    }),
    displaced.ask({
      kind: 'connect',
      options: {
        name: 'displaced',
        devices: displacedCount,
        ports: [victim.tlsPort],
        ca: victim.ca,
      },
    }),
  ])
  onProgress(`${devices} devices are connected`)
  const share = displacedCount / devices
  await displaced.ask({ kind: 'publish', ratePerSecond: ratePerSecond * share })
  await stayed.ask({ kind: 'publish', ratePerSecond: ratePerSecond * (1 - share) })
  // What the machine is still busy with belongs to no phase.
  await delay(calmMs / 2)
  await stayed.ask({ kind: 'phase' })
  await displaced.ask({ kind: 'phase' })
  await delay(calmMs)
  const calm = await stayed.ask({ kind: 'phase' })
  await displaced.ask({ kind: 'ports', ports })

  const measured = {
    redis: redis.pid,
    'node 2': others[0]?.process.pid,
    'node 3': others[1]?.process.pid,
    'displaced devices': displaced.pid,
    'stayed devices': stayed.pid,
  }
  const before = cpuOf(measured)
  const killedAtUs = nowUs()
  await victim.kill('SIGKILL')
  onProgress('one node is killed')
  await delay(POLL_MS)
  while ((await displaced.ask({ kind: 'not-ready' })) > 0) {
    if (nowUs() - killedAtUs > patienceMs * 1_000) break
    await delay(POLL_MS)
  }
  const tookMs = (nowUs() - killedAtUs) / 1_000
  const after = cpuOf(measured)
  onProgress(`back after ${Math.round(tookMs)} ms`)
  await delay(AFTER_MS)
  const stayedStorm = await stayed.ask({ kind: 'phase' })
  const displacedStorm = await displaced.ask({ kind: 'phase' })
  const [displacedBooks, stayedBooks] = await Promise.all([
    displaced.ask({ kind: 'drain' }),
    stayed.ask({ kind: 'drain' }),
  ])
  const { backUs } = displacedStorm
  const backAt = (part: number): number | undefined => {
    const atUs = backUs[Math.ceil(displacedCount * part) - 1]
    return atUs === undefined ? undefined : Math.round((atUs - killedAtUs) / 1_000)
  }
  return {
    devices,
    displaced: displacedCount,
    ratePerSecond,
    backMs: defined({ p50: backAt(0.5), p99: backAt(0.99), all: backAt(1) }),
    calm: { stayed: calm },
    storm: { stayed: stayedStorm, displaced: { ...displacedStorm, backUs: [] } },
    stayed: stayedBooks,
    displacedBooks,
    killedAtUs,
    cores: Object.fromEntries(
      Object.keys(measured).map((name) => [
        name,
        Math.round((((after[name] ?? 0) - (before[name] ?? 0)) / tookMs) * 100) / 100,
      ]),
    ),
    closed: await closedBy(others),
  }
}

interface CrowdHandle extends AsyncDisposable {
  readonly pid: number
  ask<Kind extends CrowdRequest['kind']>(
    request: Extract<CrowdRequest, { readonly kind: Kind }>,
  ): Promise<CrowdAnswers[Kind]>
}

async function startCrowd(): Promise<CrowdHandle> {
  const child: ChildProcess = fork(CROWD, { execArgv: ['--conditions=source'] })
  await once(child, 'spawn')
  const pid = child.pid as number
  const release = guardProgram(pid, '')
  const exited = once(child, 'exit')
  void exited.then(release)
  const failed = exited.then(([code]) => {
    throw new Error(`a crowd ended with ${code}`)
  })
  failed.catch(() => undefined)
  return {
    pid,
    async ask(request) {
      const answered = once(child, 'message')
      child.send(request)
      const [{ reply }] = (await Promise.race([answered, failed])) as [{ reply: never }]
      return reply
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      await exited
    },
  }
}

function cpuOf(processes: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => [
      name,
      pid === undefined ? 0 : (sampleProcess(pid)?.cpuMs ?? 0),
    ]),
  )
}

async function closedBy(nodes: readonly NodeProcess[]): Promise<Record<string, number>> {
  const closed: Record<string, number> = {}
  for (const { adminPort } of nodes) {
    const page = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    for (const [, reason = '', count] of page.matchAll(
      /^breakwater_connections_closed_total\{.*reason="([^"]+)".*\} (\d+)$/gm,
    ))
      if (Number(count) > 0) closed[reason] = (closed[reason] ?? 0) + Number(count)
  }
  return closed
}

function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as never
}
