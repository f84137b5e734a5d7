/**
 * The cluster on Redis. Three connections: one appends to the log, in order; one reads it, blocking; one beats
 * and reads what is there. Of a Redis Cluster the last one goes to each master, to recognise it.
 *
 * In: changes of this node. Out: those of the others, to the handler, in the order of the log. Bounds: changes
 * that Redis has not taken (PENDING_CHANGES_MAX, `timeoutMs`); a wait for the others (`viewLeaseMs`).
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  keysWith,
  openPlace,
  startHeartbeat,
  TurnQueue,
  type BadValue,
  type Keys,
  type OnBadValue,
  type Redis,
  type RedisSettings,
  type Servers,
} from '@breakwater/redis'
import { Announced } from './announced.ts'
import { Barrier } from './barrier.ts'
import type { Change, Cluster, ClusterHandler, Done } from './cluster.ts'
import { inLog } from './log-entry.ts'
import { LogFollower } from './log-follower.ts'
import { bytesOf, Membership, stepOf, stepsOf, type Step } from './membership.ts'
import type { Forms, NodeEntry, NodeFacts } from './node-facts.ts'
import { Presence } from './presence.ts'
import { RedisClock } from './redis-clock.ts'
import { MembershipCheck } from './membership-check.ts'
import { View } from './view.ts'

export interface RedisClusterOptions {
  /** Of this process start; never used again by another. */
  readonly nodeId: string
  /** What this node exchanges with the others; one that does not fit with theirs does not join. */
  readonly forms: Forms
  /** For the list of nodes. */
  readonly facts: () => NodeFacts
  /** After so long without a sign of life a node may be declared dead. */
  readonly leaseMs: number
  /** For so long a node acts on what it knows without asking. */
  readonly viewLeaseMs: number
  /** The clients of a dead node are adopted so long after it was declared dead; 0: at once. */
  readonly adoptAfterMs?: number
  readonly timeoutMs: number
  /** The log that Redis keeps for the nodes is cut off at its beginning above so many bytes. */
  readonly logBytesMax: number
  readonly onFault: (error: Error) => void
  /** What became of a write of this node: taken, or why it was not. */
  readonly onWritten?: (error: Error | undefined) => void
  /** What lies in Redis and cannot be read is left out, or put right, and told. */
  readonly onBadValue?: OnBadValue
}

const PENDING_CHANGES_MAX = 250_000
const PENDING_BYTES_MAX = 64 * 1_048_576
const BATCH_CHANGES_MAX = 1_000
const BATCH_BYTES_MAX = 262_144
const LEAVE_TIMEOUT_MS = 500
const LAPSED_LEAVE_TIMEOUT_MS = 100

/** @throws {Error} one line when Redis cannot be reached */
export async function createRedisCluster(
  settings: RedisSettings,
  options: RedisClusterOptions,
): Promise<Cluster> {
  const { timeoutMs, onFault, onBadValue = () => undefined } = options
  const keys = keysWith(settings.prefix)
  await using stack = new AsyncDisposableStack()
  const place = stack.use(await openPlace(settings))
  const connection = async (): Promise<Redis> => {
    const redis = stack.adopt(await place.connection('data', keys.clusterLog), (each) =>
      each.disconnect(),
    )
    redis.on('error', onFault)
    stack.use(startHeartbeat(redis, timeoutMs))
    return redis
  }
  const writer = await connection()
  const reader = await connection()
  const control = stack.use(await place.servers('data', { heartbeatMs: timeoutMs, onBadValue }))
  control.onFault(onFault)
  return new RedisCluster({ writer, reader, control, stack: stack.move() }, keys, options)
}

interface Connections {
  readonly writer: Redis
  readonly reader: Redis
  readonly control: Servers
  /** All of them. */
  readonly stack: AsyncDisposable
}

class RedisCluster implements Cluster {
  readonly #membership: Membership
  readonly #check: MembershipCheck
  readonly #control: Servers
  readonly #keys: Keys
  readonly #options: RedisClusterOptions
  readonly #view: View
  readonly #barrier: Barrier
  readonly #follower: LogFollower
  readonly #steps: TurnQueue<Step>
  readonly #announced = new Announced()
  readonly #clock = new RedisClock()
  readonly #connections: AsyncDisposable
  #handler: ClusterHandler | undefined
  #presence: Presence | undefined
  #generation = ''
  /** Since this node joined last. */
  #wasDead = false
  #adoptAfterMs: number | undefined
  #closed = false
  #head = 0

  constructor(
    { writer, reader, control, stack }: Connections,
    keys: Keys,
    options: RedisClusterOptions,
  ) {
    const { timeoutMs, viewLeaseMs, onFault } = options
    const onBadValue = (bad: BadValue): void => this.#mended(bad)
    this.#membership = new Membership({ ...options, control, writer, keys, onBadValue })
    this.#check = new MembershipCheck({
      servers: control,
      sayEverything: () => this.#sayEverything(),
      settled: ({ forgotten = false, leaseLost = false, replaced = false }) => {
        if (forgotten) this.#handler?.forgotten()
        if (leaseLost) this.#handler?.leaseLost()
        if (replaced) this.#handler?.storeReplaced()
      },
    })
    this.#control = control
    this.#keys = keys
    this.#options = options
    this.#view = new View(viewLeaseMs, timeoutMs)
    this.#barrier = new Barrier(viewLeaseMs)
    this.#follower = new LogFollower({
      redis: reader,
      keys,
      nodeId: options.nodeId,
      view: this.#view,
      barrier: this.#barrier,
      onFault,
      onBadValue: (bad) => options.onBadValue?.(bad),
      mend: async (more = []) => void (await this.#membership.mend(more)),
    })
    this.#steps = new TurnQueue<Step>({
      send: async (steps) => {
        const version = await this.#membership.change(steps)
        if (version === 0) {
          this.#presence?.beat()
          throw new Error('this node is not a member of the cluster (declared dead); joining again')
        }
        return steps.map(() => ({ result: version }))
      },
      cut: () => writer.disconnect(true),
      onFault,
      timeoutMs,
      batchItemsMax: BATCH_CHANGES_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      itemsMax: PENDING_CHANGES_MAX,
      bytesMax: PENDING_BYTES_MAX,
    })
    this.#connections = stack
  }

  get others(): readonly string[] {
    return this.#follower.nodes
  }

  nodes(): Promise<readonly NodeEntry[]> {
    return this.#membership.nodes()
  }

  now(): number {
    return this.#clock.now()
  }

  get confirmed(): boolean {
    return this.#view.confirmed
  }

  async start(handler: ClusterHandler): Promise<void> {
    this.#handler = handler
    const { nodeId, leaseMs, viewLeaseMs, adoptAfterMs = 0, onFault } = this.#options
    await this.#check.meet()
    await this.#membership.mend([])
    this.#generation = (await this.#membership.join()).generation
    await this.#follower.start(handler)
    this.#control.onReady(() => {
      this.#check.suspect({})
      this.#settle()
    })
    this.#presence = new Presence({
      servers: this.#control,
      keys: this.#keys,
      nodeId,
      leaseMs,
      viewLeaseMs,
      adoptAfterMs,
      adopt: (departed, calledOff) => handler.adopt(departed, calledOff),
      onFault,
      onBadValue: (bad) => this.#mended(bad),
      onWritten: (error) => this.#options.onWritten?.(error),
      facts: () => this.#membership.facts(),
      clock: this.#clock,
      headRead: (head, askedAt) => {
        this.#headRead(head)
        if (this.#check.suspected) this.#settle()
        else this.#view.headRead(head, askedAt)
      },
      forgotten: (generation) => {
        this.#check.suspect({ forgotten: true })
        if (generation === this.#generation) this.#check.suspect({ leaseLost: true })
        this.#settle()
      },
    })
    this.#presence.beat()
  }

  whenConfirmed(done: Done): void {
    if (!this.#view.confirmed) this.#presence?.beat()
    this.#view.whenConfirmed(done)
  }

  async announce({ added = [], sessions = [], changed }: Change): Promise<void> {
    const unknown = added.filter((filter) => !this.#announced.has(filter))
    const pending = added.flatMap((filter) => this.#announced.pending(filter) ?? [])
    const filters = changed?.filters.map((filter) => inLog(changed.clientId, filter)) ?? []
    for (const step of stepsOf({ added: unknown, sessions, filters })) {
      const known = this.#push(step)
      pending.push(known)
      this.#announced.add(step.added, known)
    }
    await Promise.all(pending)
  }

  withdraw(filters: readonly string[]): void {
    const removed = filters.filter((filter) => this.#announced.delete(filter))
    // A route that stays costs messages that nobody takes.
    for (const step of stepsOf({ removed })) this.#steps.push(step, bytesOf(step))
  }

  announceTopics(topics: readonly string[], done: Done): void {
    const step = stepOf({ topics })
    this.#steps.push(step, bytesOf(step), (error, version) => {
      if (error === undefined) this.#view.whenReached(version as number, done)
      else done(error)
    })
  }

  whenCaughtUp(done: Done): void {
    this.#view.whenCaughtUp(done)
    this.#presence?.beat()
  }

  leaveBehind(adoptAfterMs: number): void {
    this.#adoptAfterMs = adoptAfterMs
  }

  confirmedBy(nodeId: string, version: number): void {
    this.#barrier.confirmed(nodeId, version)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#follower.stop()
    this.#presence?.[Symbol.dispose]()
    this.#steps.close()
    this.#barrier.close()
    this.#view.close()
    // Where Redis does not answer the lease ends by itself.
    const timeoutMs = this.#view.lapsed ? LAPSED_LEAVE_TIMEOUT_MS : LEAVE_TIMEOUT_MS
    if (this.#control.of(this.#keys.clusterLog)?.status === 'ready')
      await Promise.race([
        this.#membership.leave(this.#adoptAfterMs),
        delay(timeoutMs, undefined, { ref: false }),
      ])
    await this.#connections[Symbol.asyncDispose]()
    await this.#follower.stopped()
  }

  async #push(step: Step): Promise<void> {
    const version = await new Promise<number>((resolve, reject) => {
      this.#steps.push(step, bytesOf(step), (error, result) => {
        if (error === undefined) resolve(result as number)
        else reject(error)
      })
    })
    // Whoever joined before this change is known only now.
    await new Promise<void>((resolve, reject) => {
      this.#view.whenReached(version, (error) => (error === undefined ? resolve() : reject(error)))
    })
    await this.#barrier.passed(version, this.others)
  }

  /** It only rises, unless somebody has put it back: then what is known is of a log that there is no more. */
  #headRead(head: number): void {
    if (!Number.isSafeInteger(head)) void this.#membership.mend([])
    if (!(head >= this.#head)) this.#follower.reload()
    this.#head = head
  }

  /** What was said of this node may be gone with it; what the others said is read again. */
  #mended(bad: BadValue): void {
    this.#options.onBadValue?.(bad)
    if (bad.key === this.#keys.clusterRoutes(this.#options.nodeId)) {
      this.#check.suspect({ forgotten: true })
      this.#settle()
    } else if (bad.kind === 'log' || bad.kind === 'head' || bad.kind === 'routes')
      this.#follower.reload()
  }

  /** What fails is tried again at the next beat. */
  #settle(): void {
    if (!this.#closed) this.#check.settle().catch(this.#options.onFault)
  }

  async #sayEverything(): Promise<void> {
    this.#follower.reload()
    // Asked first: after a JOIN whose answer is lost nothing shows any more that it was declared dead.
    if (!(await this.#membership.isMember())) this.#wasDead = true
    const { generation, wasMember } = await this.#membership.join()
    const isSame = generation === this.#generation
    this.#generation = generation
    if (isSame && (this.#wasDead || !wasMember)) this.#check.suspect({ leaseLost: true })
    this.#wasDead = false
    const { filters } = this.#announced
    await this.#membership.announce(filters)
    // Who has not heard of it by then has lost its view, see view.ts.
    const known = delay(this.#options.viewLeaseMs, undefined, { ref: false })
    this.#announced.addAgain(filters, known)
    void known.then(() => (this.#closed ? undefined : this.#handler?.heard()))
  }
}
