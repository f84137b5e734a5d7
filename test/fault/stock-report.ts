/**
 * The fault checks against Breakwater and against the three stock packages, side by side, as a table. Nothing
 * is asserted: it shows what the design buys. Run it from the root of the repository:
 *
 *   node --conditions=source test/fault/stock-report.ts
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { spawnNode } from '../kit/node.ts'
import { faultChecks, type BrokerProcess, type FaultCheck } from './fault-checks.ts'

const CHECK_TIMEOUT_MS = 10_000
const STOCK = fileURLToPath(new URL('stock-process.ts', import.meta.url))

interface Started extends AsyncDisposable {
  readonly broker: BrokerProcess
}

async function startBreakwater(): Promise<Started> {
  const node = await spawnNode({ listen: ['mqtt://127.0.0.1:0'] })
  return {
    broker: { host: node.host, port: node.port, pid: node.process.pid ?? 0 },
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  }
}

async function startStock(): Promise<Started> {
  const child = spawn(process.execPath, ['--conditions=source', STOCK], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const exited = once(child, 'exit')
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { port } = JSON.parse(line) as { port: number }
  return {
    broker: { host: '127.0.0.1', port, pid: child.pid ?? 0 },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** A broker of its own for each check: what one does to it is not the next one's business. */
async function ask(start: () => Promise<Started>, { run }: FaultCheck): Promise<string> {
  await using started = await start()
  const late = delay(CHECK_TIMEOUT_MS, 'no end within 10 s', { ref: false })
  const answer = run(started.broker).catch((error: Error) => `gave up: ${error.message}`)
  // Awaited here: the broker ends with this function.
  return await Promise.race([answer, late])
}

const startedAt = performance.now()
console.log('| what happens | stock | Breakwater |')
console.log('|---|---|---|')
for (const check of faultChecks) {
  const stock = await ask(startStock, check)
  const breakwater = await ask(startBreakwater, check)
  console.log(`| ${check.title} | ${stock} | ${breakwater} |`)
}
console.log(`\n${((performance.now() - startedAt) / 1_000).toFixed(0)} s`)
// A check that was given up may have clients that still wait.
process.exit(0)
