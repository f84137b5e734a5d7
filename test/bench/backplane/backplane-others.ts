/** Two nodes of another make, to be measured beside our own: the stock broker on Redis, and a NATS cluster. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../kit/mosquitto.ts'
import { findProgram } from '../../kit/program.ts'
import { startRedis } from '../../kit/redis/redis.ts'
import { PacketFlow } from '../../fault/packet-flow.ts'
import { processCpuUs, redisCpuOf, type Rig } from './backplane-rig.ts'
import { startNodeProcess } from '../node-process.ts'

const HOST = '127.0.0.1'
const STOCK = new URL('../stock-process.ts', import.meta.url)
const NATS_START_MS = 20_000

export async function startStockRig(): Promise<Rig> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: ['--save', ''] }))
  const redisUs = redisCpuOf(redis, stack)
  const start = async (): Promise<{ pid: number; host: string; port: number }> => {
    const node = stack.use(
      await startNodeProcess({
        entry: STOCK,
        args: ['mqtt'],
        nodeArgs: ['--conditions=source'],
        env: { STOCK_REDIS_URL: redis.url },
      }),
    )
    return { pid: node.pid, host: HOST, port: Number(new URL(node.urls[0] ?? '').port) }
  }
  const [a, b] = [await start(), await start()]
  const all = stack.move()
  return {
    a,
    b,
    cpu: async () => ({
      a: processCpuUs(a.pid),
      b: processCpuUs(b.pid),
      redis: await redisUs(),
    }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** Two servers with their MQTT listeners, whose sessions need JetStream. Undefined where it is not installed. */
export async function startNatsRig(): Promise<Rig | undefined> {
  const program = findProgram('nats-server')
  if (program === undefined) return undefined
  await using stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-nats-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const routes = [await freePort(HOST), await freePort(HOST)]
  const start = async (index: number): Promise<{ pid: number; host: string; port: number }> => {
    const port = await freePort(HOST)
    const file = join(folder, `${index}.conf`)
    writeFileSync(
      file,
      [
        `server_name: n${index}`,
        `listen: ${HOST}:${await freePort(HOST)}`,
        `jetstream { store_dir: ${JSON.stringify(join(folder, `store-${index}`))} }`,
        `mqtt { host: ${HOST}, port: ${port} }`,
        `cluster { name: bench, listen: ${HOST}:${routes[index]}, routes: [`,
        ...routes.map((route) => `  nats-route://${HOST}:${route}`),
        '] }',
        '',
      ].join('\n'),
    )
    const child = spawn(program, ['-c', file], { stdio: 'ignore' })
    stack.defer(() => ended(child))
    await once(child, 'spawn')
    return { pid: child.pid ?? 0, host: HOST, port }
  }
  const [a, b] = [await start(0), await start(1)]
  for (const node of [a, b]) await accepting(node)
  const all = stack.move()
  return {
    a,
    b,
    cpu: () => Promise.resolve({ a: processCpuUs(a.pid), b: processCpuUs(b.pid), redis: 0 }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** A client is accepted once the cluster has chosen a leader for its streams. */
async function accepting(node: { host: string; port: number }): Promise<void> {
  const deadline = performance.now() + NATS_START_MS
  for (;;) {
    try {
      await using _client = await PacketFlow.connect(node, { clientId: `probe-${node.port}` })
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(200)
    }
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
