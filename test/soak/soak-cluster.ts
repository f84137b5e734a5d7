/** Three nodes, each a process with a way to Redis of its own, on one Redis that keeps what it has confirmed. */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'
import { spawnNode, type LogLine, type NodeProcess } from '../kit/node.ts'
import { guardProgram } from '../kit/program-guard.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { temporaryDirectory } from '../kit/temporary-directory.ts'
import type { Doors } from './device.ts'
import { LEASE_MS, STORE_TIMEOUT_MS } from './fault-plan.ts'
import type { Recorder } from './history.ts'
import { NODE_NAMES } from './plan.ts'

const REDIS_ARGUMENTS = '--appendonly yes --appendfsync always --enable-debug-command yes'.split(
  ' ',
)
const LIMITS = {
  nodeLeaseMs: LEASE_MS,
  viewLeaseMs: 300,
  storeTimeoutMs: STORE_TIMEOUT_MS,
  takeOverTimeoutMs: 500,
}

const START_TRIES = 20
const START_AGAIN_MS = 300
const READY_WITHIN_MS = 120_000
const CRASH_LINES = 6

/** A line of a node's log. */
export interface NodeLog extends LogLine {
  readonly node: string
}

interface Slot {
  readonly name: string
  readonly proxy: RedisProxy
  /** How many processes it has had. */
  lives: number
  node: NodeProcess
  /** It is to end by itself. */
  isStopping: boolean
  /** Settled when the last process that was started for it is ready. */
  starting: Promise<void>
}

export class SoakCluster implements AsyncDisposable, Doors {
  readonly redis: TestRedis
  /** For faults and for looking at what is left; past all proxies. */
  readonly admin: Redis
  /** Nodes that ended by themselves, and the last that they said. */
  readonly crashes: string[] = []
  /** Everything that all nodes have logged. */
  readonly logs: NodeLog[] = []
  readonly #slots: Slot[] = []
  readonly #directory = temporaryDirectory('soak-')
  readonly #errorFile = join(this.#directory, 'stderr')
  readonly #errors = openSync(this.#errorFile, 'a')
  readonly #recorder: Recorder
  readonly #mains: readonly string[]
  #resources = new AsyncDisposableStack()

  private constructor(redis: TestRedis, recorder: Recorder, mains: readonly string[]) {
    this.redis = redis
    this.#recorder = recorder
    this.#mains = mains
    this.admin = new Redis(redis.url, { maxRetriesPerRequest: null })
    this.admin.on('error', () => undefined)
  }

  /** `mains`: the program of a node in each of its lives; none: that of this checkout. The last one stays. */
  static async start(recorder: Recorder, mains: readonly string[] = []): Promise<SoakCluster> {
    await using stack = new AsyncDisposableStack()
    const redis = stack.use(await startRedis({ args: REDIS_ARGUMENTS }))
    const cluster = new SoakCluster(redis, recorder, mains)
    stack.defer(() => closeSync(cluster.#errors))
    stack.defer(() => cluster.admin.disconnect())
    const proxies = await Promise.all(
      NODE_NAMES.map(async () => stack.use(await startRedisProxy(redis.url))),
    )
    stack.defer(async () => {
      await Promise.all(cluster.#slots.map((_, index) => cluster.kill(index)))
    })
    // The first one makes the development CA that the others reuse.
    const [first, ...others] = NODE_NAMES.map((name, index) => ({
      name,
      proxy: proxies[index] as RedisProxy,
    }))
    if (first !== undefined) await cluster.#add(first)
    await Promise.all(others.map((slot) => cluster.#add(slot)))
    cluster.#slots.sort((one, other) => (one.name < other.name ? -1 : 1))
    cluster.#resources = stack.move()
    return cluster
  }

  get count(): number {
    return this.#slots.length
  }

  door(index: number): { name: string; port: number; tlsPort: number; ca: string } {
    const slot = this.#slot(index)
    const { port, tlsPort, ca } = slot.node
    return { name: nameOf(slot), port, tlsPort, ca }
  }

  proxy(index: number): RedisProxy {
    return this.#slot(index).proxy
  }

  /** Those that run now. */
  get nodes(): readonly { readonly name: string; readonly node: NodeProcess }[] {
    return this.#slots.map((slot) => ({ name: nameOf(slot), node: slot.node }))
  }

  /** Settled when the node's process is ready. */
  async started(index: number): Promise<void> {
    await this.#slot(index).starting
  }

  async kill(index: number): Promise<void> {
    const slot = this.#slot(index)
    await slot.starting
    await slot.node.kill('SIGKILL')
  }

  /** Stops the node as an operator does, and starts its next life. */
  async roll(index: number): Promise<void> {
    const slot = this.#slot(index)
    await slot.starting
    slot.isStopping = true
    await slot.node.kill('SIGTERM')
    slot.isStopping = false
    await this.restart(index)
  }

  async restart(index: number): Promise<void> {
    const slot = this.#slot(index)
    slot.starting = slot.starting.then(() => this.#startAgain(slot))
    await slot.starting
  }

  signal(index: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#slot(index).node.process.kill(signal)
  }

  /** Redis ends and starts again with what it has on disk. */
  async restartRedis(): Promise<void> {
    // Sent once: the answer never comes, and a second one would be a second restart.
    const once = new Redis(this.redis.url, { lazyConnect: true, retryStrategy: () => null })
    once.on('error', () => undefined)
    await once.connect()
    await once.call('DEBUG', 'RESTART').catch(() => undefined)
    once.disconnect()
    await this.admin.ping()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }

  async #startAgain(slot: Slot): Promise<void> {
    const { exitCode, signalCode } = slot.node.process
    // It was killed twice and has been started since.
    if (exitCode === null && signalCode === null) return
    // A node that finds no Redis ends again; a supervisor starts it again.
    for (let tries = 1; ; tries += 1) {
      const begun = performance.now()
      try {
        slot.node = await this.#spawn(slot.proxy, slot.lives + 1)
        break
      } catch (error) {
        // It neither ended nor became ready: a supervisor would not start it again.
        if (performance.now() - begun >= READY_WITHIN_MS)
          this.crashes.push(`node ${slot.name} was not ready within ${READY_WITHIN_MS} ms`)
        if (tries === START_TRIES)
          throw new Error(`node ${slot.name} does not start: ${this.#wills()}`, {
            cause: error,
          })
        await delay(START_AGAIN_MS)
      }
    }
    slot.lives += 1
    this.#watch(slot)
  }

  /** What nodes have said on standard error. */
  #wills(): string {
    const said = readFileSync(this.#errorFile, 'utf8').trimEnd().split('\n')
    return said.slice(-CRASH_LINES).join(' | ')
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index]
    if (slot === undefined) throw new RangeError(`no node ${index}`)
    return slot
  }

  async #add(parts: { name: string; proxy: RedisProxy }): Promise<void> {
    const node = await this.#spawn(parts.proxy, 1)
    const starting = Promise.resolve()
    const slot: Slot = { ...parts, lives: 1, node, isStopping: false, starting }
    this.#slots.push(slot)
    this.#watch(slot)
  }

  async #spawn(proxy: RedisProxy, life: number): Promise<NodeProcess> {
    const main = this.#mains[life - 1] ?? this.#mains.at(-1)
    const node = await spawnNode({
      redisUrl: proxy.url,
      redisPrefix: this.redis.prefix,
      limits: LIMITS,
      stderr: this.#errors,
      readyWithinMs: READY_WITHIN_MS,
      ...(main === undefined ? {} : { main }),
    })
    const { process: child } = node
    // A run of an hour may be ended from outside: its nodes end with it.
    const callOff = guardProgram(child.pid ?? 0, this.#directory)
    child.once('exit', callOff)
    return node
  }

  /** The reasons that a node logs belong to the story; `logged` is asked for each line once. */
  #watch(slot: Slot): void {
    const name = nameOf(slot)
    slot.node.process.once('exit', (code, signal) => {
      if (signal === 'SIGKILL' || (slot.isStopping && code === 0)) return
      this.crashes.push(`node ${name} ended by itself (${code ?? signal}): ${this.#wills()}`)
    })
    void slot.node.logged((line) => {
      this.logs.push({ node: name, ...line })
      if (line['msg'] !== 'connection closed') return false
      this.#recorder.record({
        kind: 'node-closed',
        node: name,
        client: typeof line['clientId'] === 'string' ? line['clientId'] : '?',
        reason: String(line['reason']),
      })
      return false
    })
  }
}

function nameOf({ name, lives }: Pick<Slot, 'name' | 'lives'>): string {
  return `${name}#${lives}`
}
