/**
 * Which master of a Redis Cluster serves which slot.
 *
 * In: the hosts of the address, and hints that what is known is outdated. Out: a master per slot, and word of
 * each change. It is asked for every REFRESH_MS, and at each hint (not more often than every HINT_MS), from one
 * node at a time; who does not answer within ASK_TIMEOUT_MS is passed over. Where nobody answers, what was known
 * holds: a master that is not reached is not lost yet.
 */
import { redactUrl, type RedisHost } from '@breakwater/config'
import type { Redis } from 'ioredis'
import { createRedis, type RedisSettings } from './client.ts'
import { faultOf } from './fault.ts'
import { UnfitRedis } from './health.ts'
import { SLOTS } from './slot.ts'

interface Looked {
  readonly slots: readonly (RedisHost | undefined)[]
  /** Masters first; whoever may be asked the next time. */
  readonly nodes: readonly RedisHost[]
  readonly fault: string | undefined
}

type SlotRange = readonly [first: number, last: number, ...nodes: (readonly [string, number])[]]

const REFRESH_MS = 1_000
const HINT_MS = 50
const ASK_TIMEOUT_MS = 2_000
const NO_CLUSTER = /cluster support disabled/

export class ClusterMap implements Disposable {
  readonly #settings: RedisSettings
  readonly #seeds: readonly RedisHost[]
  readonly #listeners: (() => void)[] = []
  #slots: readonly (RedisHost | undefined)[] = []
  #nodes: readonly RedisHost[] = []
  #fault: string | undefined = 'not asked yet'
  #asked: { readonly host: RedisHost; readonly redis: Redis } | undefined
  #asking = false
  #hinted = false
  #closed = false
  #timer: NodeJS.Timeout | undefined

  constructor(settings: RedisSettings, seeds: readonly RedisHost[]) {
    this.#settings = settings
    this.#seeds = seeds
  }

  /** @throws {Error} one line: nobody answers, it is no cluster, or one that serves nothing */
  async open(): Promise<void> {
    try {
      this.#take(await this.#look(this.#seeds))
      if (this.#fault !== undefined) throw new Error(this.#fault)
    } catch (error) {
      this[Symbol.dispose]()
      throw new Error(`${redactUrl(this.#settings.url)}: ${faultOf(error as Error).text}`, {
        cause: error,
      })
    }
    this.#schedule(REFRESH_MS)
  }

  masterOf(slot: number): RedisHost | undefined {
    return this.#slots[slot]
  }

  /** Those that serve slots. */
  get masters(): readonly RedisHost[] {
    const found = new Map<string, RedisHost>()
    for (const host of this.#slots) if (host !== undefined) found.set(nameOf(host), host)
    return [...found.values()]
  }

  /** Every slot is served, as far as is known. */
  get whole(): boolean {
    return this.#fault === undefined
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** What is known may be outdated; `host` is known to know better. */
  hint(host?: RedisHost): void {
    if (this.#closed || this.#asking) return
    if (host !== undefined && nameOf(host) !== nameOf(this.#asked?.host)) this.#forget(host)
    if (this.#hinted) return
    this.#hinted = true
    this.#schedule(HINT_MS)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#asked?.redis.disconnect()
  }

  #schedule(afterMs: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#refresh(), afterMs)
    this.#timer.unref()
  }

  /** Never rejects. */
  async #refresh(): Promise<void> {
    this.#asking = true
    this.#hinted = false
    try {
      this.#take(await this.#look([...this.#nodes, ...this.#seeds]))
    } catch (error) {
      this.#fault = faultOf(error as Error).text
    }
    this.#asking = false
    this.#schedule(REFRESH_MS)
  }

  #take({ slots, nodes, fault }: Looked): void {
    this.#fault = fault
    this.#nodes = nodes
    const changed = slots.some((host, slot) => nameOf(host) !== nameOf(this.#slots[slot]))
    if (!changed) return
    this.#slots = slots
    for (const listener of this.#listeners) listener()
  }

  /** What the first of these says that belongs to a cluster that works; else what one of the others says. */
  async #look(hosts: readonly RedisHost[]): Promise<Looked> {
    const candidates = this.#asked === undefined ? hosts : [this.#asked.host, ...hosts]
    let looked: Looked | undefined
    let failure: Error | undefined
    for (const host of new Map(candidates.map((each) => [nameOf(each), each])).values()) {
      if (this.#closed) break
      try {
        const found = await this.#ask(host)
        looked ??= found
        if (found.fault === undefined) return found
      } catch (error) {
        failure ??= error as Error
      }
      this.#forget()
    }
    if (looked === undefined) throw failure ?? new Error('closed')
    return looked
  }

  /** Of this node from now on, or of any. */
  #forget(next?: RedisHost): void {
    this.#asked?.redis.disconnect()
    this.#asked = next && { host: next, redis: this.#connectionTo(next) }
  }

  #connectionTo(host: RedisHost): Redis {
    const redis = createRedis(this.#settings, 'data', { whereabouts: () => host, anyRole: true })
    // Whoever asks hears of it.
    redis.on('error', () => undefined)
    return redis
  }

  async #ask(host: RedisHost): Promise<Looked> {
    if (this.#asked === undefined || nameOf(this.#asked.host) !== nameOf(host)) this.#forget(host)
    const { redis } = this.#asked as { redis: Redis }
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => reject(new Error(`no answer within ${ASK_TIMEOUT_MS} ms`)),
      ASK_TIMEOUT_MS,
    )
    try {
      return await Promise.race([answerOf(redis, host), late])
    } finally {
      clearTimeout(timer)
    }
  }
}

async function answerOf(redis: Redis, asked: RedisHost): Promise<Looked> {
  if (redis.status === 'wait') {
    let first: Error | undefined
    redis.once('error', (error: Error) => (first = error))
    await redis.connect().catch((error: Error) => {
      throw first ?? error
    })
  }
  const [info, ranges] = await Promise.all([redis.cluster('INFO'), redis.cluster('SLOTS')]).catch(
    (error: Error) => {
      throw NO_CLUSTER.test(error.message)
        ? new UnfitRedis('is no Redis Cluster: use redis:// or redis-sentinel://')
        : error
    },
  )
  const slots = Array.from<RedisHost | undefined>({ length: SLOTS })
  const masters: RedisHost[] = []
  const replicas: RedisHost[] = []
  for (const [first, last, ...nodes] of ranges as unknown as SlotRange[]) {
    const hosts = nodes.map(([host, port]) => ({
      // One that does not know its own address has that at which it was asked.
      host: host === null || host === '' || host === '?' ? asked.host : host,
      port,
    }))
    slots.fill(hosts[0], first, last + 1)
    masters.push(...hosts.slice(0, 1))
    replicas.push(...hosts.slice(1))
  }
  return { slots, nodes: [...masters, ...replicas], fault: lackOf(info, slots) }
}

function lackOf(info: string, slots: readonly (RedisHost | undefined)[]): string | undefined {
  const state = /^cluster_state:(\w+)/m.exec(info)?.[1]
  const served = slots.filter((host) => host !== undefined).length
  if (state === 'ok' && served === SLOTS) return undefined
  return `the cluster is not whole: its state is ${state}, ${served} of ${SLOTS} slots have a master`
}

export function nameOf(host: RedisHost | undefined): string {
  return host === undefined ? '' : `${host.host}:${host.port}`
}
