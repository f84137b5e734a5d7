/**
 * The generator: the simulator's engine in a process of its own, so that its CPU time is not the
 * broker's. It does what it is sent over the IPC channel, one request at a time.
 */
import { readFileSync } from 'node:fs'
import { runFleet, type FleetInput, type FleetResult } from '@breakwater/simulator'

/** `hold` connects a fleet and keeps it until `release`; further fleets may be held beside it. */
export type GeneratorRequest =
  | { readonly kind: 'run'; readonly input: FleetInput }
  | { readonly kind: 'hold'; readonly input: FleetInput }
  | { readonly kind: 'release' }

export type GeneratorReply =
  | { readonly kind: 'result'; readonly result: FleetResult; readonly hostBusyMs: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string }

const CLOCK_TICK_MS = 10 // USER_HZ is 100 on every Linux that Node runs on
const held: Promise<FleetResult>[] = []
let release = new AbortController()

/** CPU time of everything on this machine. */
function hostBusyMs(): number {
  const ticks = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const [user = 0, nice = 0, system = 0, , , interrupt = 0, softInterrupt = 0] = ticks
  return (user + nice + system + interrupt + softInterrupt) * CLOCK_TICK_MS
}

async function run(input: FleetInput): Promise<GeneratorReply> {
  let from = 0
  let to = 0
  const result = await runFleet(input, {
    onPhase: (phase) => {
      if (phase === 'measure') from = hostBusyMs()
      if (phase === 'drain') to = hostBusyMs()
    },
  })
  return { kind: 'result', result, hostBusyMs: Math.max(0, to - from) }
}

async function hold(input: FleetInput): Promise<GeneratorReply> {
  const connected = Promise.withResolvers<GeneratorReply>()
  const fleet = runFleet(input, {
    signal: release.signal,
    onPhase: (phase) => {
      if (phase === 'measure') connected.resolve({ kind: 'done' })
    },
  })
  held.push(fleet)
  const failed = fleet.then(({ verdict }): GeneratorReply => {
    return { kind: 'failed', message: verdict.reasons.join('; ') }
  })
  return Promise.race([connected.promise, failed])
}

async function releaseAll(): Promise<GeneratorReply> {
  release.abort()
  await Promise.all(held.splice(0))
  release = new AbortController()
  return { kind: 'done' }
}

async function answer(request: GeneratorRequest): Promise<GeneratorReply> {
  try {
    if (request.kind === 'run') return await run(request.input)
    return await (request.kind === 'hold' ? hold(request.input) : releaseAll())
  } catch (error) {
    return { kind: 'failed', message: (error as Error).message }
  }
}

process.on('message', (request: GeneratorRequest) => {
  void answer(request).then((reply) => process.send?.(reply))
})
process.once('disconnect', () => process.exit())
