/**
 * Connections of one role to whatever holds the keys: one server, or the masters of a cluster. Nobody else
 * knows which of the two it is.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RedisHost } from '@breakwater/config'
import type { Redis } from 'ioredis'
import { nameOf, type ClusterMap } from './cluster-map.ts'
import { failureOf } from './failure.ts'
import { startHeartbeat } from './heartbeat.ts'
import { mending, type OnBadValue } from './mend.ts'
import { slotOf } from './slot.ts'

export type RedisArgument = string | number | Buffer

export interface Servers extends Disposable {
  /** Keys with different hash tags may lie on different servers. */
  readonly clustered: boolean
  /** The connection to the server that has this key; undefined where none is known now. */
  of(key: string): Redis | undefined
  /** Another number each time that the connection of this key comes or goes, or is one to another server. */
  lifeOf(key: string): number
  /** To every server that has keys. */
  readonly all: readonly Redis[]
  /** Every key can be reached. */
  readonly ready: boolean
  /**
   * A command on a key. Strings of the answer are buffers. Of the control role it waits for a server that is
   * not there now, and happens twice where an answer was lost.
   *
   * @throws {Error} Redis refused it, or did not answer in time
   */
  call(key: string, command: string, ...words: readonly RedisArgument[]): Promise<unknown>
  /** Each connection that can be used from now on, also one that was lost before. */
  onReady(listener: (redis: Redis) => void): void
  /** Connections that dropped, or could not be made again. */
  onFault(listener: (error: Error) => void): void
  /** Connections that do not answer are given up, and made again. */
  cut(): void
}

export interface ServersOptions {
  /** Of `call`; undefined: it is tried once. */
  readonly timeoutMs?: number
  /** A connection that says nothing for so long is cut; undefined: it is not watched. */
  readonly heartbeatMs?: number
  /** Nothing is written: a replica will do. */
  readonly anyRole?: boolean
  /** A command that is refused for what its keys hold is sent again when that is mended; told of each. */
  readonly onBadValue?: OnBadValue
}

const RETRY_MS = 50

/** Of a script all that it was given. */
function keysOf(
  key: string,
  command: string,
  [, count, ...rest]: readonly RedisArgument[],
): readonly string[] {
  return command.startsWith('eval') ? rest.slice(0, Number(count)).map(String) : [key]
}

/** Numbers that no two connections of this process have, nor one of them twice. */
class Lives {
  static #last = 0
  readonly #lives = new WeakMap<Redis, number>()

  watch(redis: Redis): void {
    const next = (): void => {
      Lives.#last += 1
      this.#lives.set(redis, Lives.#last)
    }
    next()
    for (const event of ['close', 'ready']) redis.on(event, next)
  }

  /** 0: there is none. */
  of(redis: Redis | undefined): number {
    return redis === undefined ? 0 : (this.#lives.get(redis) ?? 0)
  }
}

export class OneServer implements Servers {
  readonly clustered = false
  readonly all: readonly Redis[]
  readonly #redis: Redis
  readonly #heartbeat: Disposable | undefined
  readonly #onBadValue: OnBadValue | undefined
  readonly #lives = new Lives()

  /** `redis`: connected. */
  constructor(redis: Redis, { heartbeatMs, onBadValue }: ServersOptions) {
    this.#redis = redis
    this.#onBadValue = onBadValue
    this.all = [redis]
    this.#lives.watch(redis)
    if (heartbeatMs !== undefined) this.#heartbeat = startHeartbeat(redis, heartbeatMs)
  }

  get ready(): boolean {
    return this.#redis.status === 'ready'
  }

  of(_key: string): Redis {
    return this.#redis
  }

  lifeOf(_key: string): number {
    return this.#lives.of(this.#redis)
  }

  call(key: string, command: string, ...words: readonly RedisArgument[]): Promise<unknown> {
    const work = (): Promise<unknown> => this.#redis.callBuffer(command, ...words)
    if (this.#onBadValue === undefined) return work()
    return mending(() => this.#redis, keysOf(key, command, words), this.#onBadValue, work)
  }

  onReady(listener: (redis: Redis) => void): void {
    this.#redis.on('ready', () => listener(this.#redis))
  }

  onFault(listener: (error: Error) => void): void {
    this.#redis.on('error', listener)
  }

  cut(): void {
    this.#redis.disconnect(true)
  }

  [Symbol.dispose](): void {
    this.#heartbeat?.[Symbol.dispose]()
    this.#redis.disconnect()
  }
}

interface Member {
  readonly redis: Redis
  readonly heartbeat: Disposable | undefined
}

export class ClusterServers implements Servers {
  readonly clustered = true
  readonly #map: ClusterMap
  readonly #connect: (host: RedisHost) => Redis
  readonly #options: ServersOptions
  readonly #members = new Map<string, Member>()
  readonly #lives = new Lives()
  readonly #readyListeners: ((redis: Redis) => void)[] = []
  readonly #faultListeners: ((error: Error) => void)[] = []
  #closed = false

  /** `connect`: a connection to this server, not yet connected. */
  constructor(map: ClusterMap, connect: (host: RedisHost) => Redis, options: ServersOptions) {
    this.#map = map
    this.#connect = connect
    this.#options = options
    this.#follow()
  }

  /** `opened`: connects the first ones. @throws {Error} what it throws */
  async open(opened: (redis: Redis) => Promise<void>): Promise<void> {
    await Promise.all(this.all.map(opened))
    const follow = (): void => {
      // Who cannot be reached now connects later.
      for (const redis of this.#follow()) redis.connect().catch(() => undefined)
    }
    this.#map.onChange(follow)
    follow()
  }

  get all(): readonly Redis[] {
    return [...this.#members.values()].map(({ redis }) => redis)
  }

  get ready(): boolean {
    if (!this.#map.whole) return false
    for (const { redis } of this.#members.values()) if (redis.status !== 'ready') return false
    return true
  }

  of(key: string): Redis | undefined {
    return this.#members.get(nameOf(this.#map.masterOf(slotOf(key))))?.redis
  }

  lifeOf(key: string): number {
    return this.#lives.of(this.of(key))
  }

  async call(key: string, command: string, ...words: readonly RedisArgument[]): Promise<unknown> {
    const work = (): Promise<unknown> => this.#call(key, command, ...words)
    const { onBadValue } = this.#options
    if (onBadValue === undefined) return await work()
    return await mending(() => this.of(key), keysOf(key, command, words), onBadValue, work)
  }

  async #call(key: string, command: string, ...words: readonly RedisArgument[]): Promise<unknown> {
    const deadline = performance.now() + (this.#options.timeoutMs ?? 0)
    for (;;) {
      const redis = this.of(key)
      try {
        if (redis?.status !== 'ready') throw new Error('no connection')
        return await redis.callBuffer(command, ...words)
      } catch (error) {
        const { again } = failureOf(error as Error)
        if (again !== true || this.#closed || performance.now() >= deadline) throw error
        // The caller knows what to do then.
        if ((error as Error).message.startsWith('NOSCRIPT')) throw error
      }
      await delay(RETRY_MS)
    }
  }

  onReady(listener: (redis: Redis) => void): void {
    this.#readyListeners.push(listener)
  }

  onFault(listener: (error: Error) => void): void {
    this.#faultListeners.push(listener)
  }

  cut(): void {
    for (const redis of this.all) redis.disconnect(true)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    for (const name of this.#members.keys()) this.#leave(name)
  }

  /** One connection to each master, and to nobody else. Returns those that are new. */
  #follow(): readonly Redis[] {
    if (this.#closed) return []
    const masters = new Map(this.#map.masters.map((host) => [nameOf(host), host]))
    for (const name of this.#members.keys()) if (!masters.has(name)) this.#leave(name)
    return [...masters].flatMap(([name, host]) =>
      this.#members.has(name) ? [] : [this.#join(name, host)],
    )
  }

  #join(name: string, host: RedisHost): Redis {
    const { heartbeatMs } = this.#options
    const redis = this.#connect(host)
    this.#lives.watch(redis)
    redis.on('error', (error: Error) => {
      for (const listener of this.#faultListeners) listener(error)
    })
    redis.on('close', () => this.#map.hint())
    redis.on('ready', () => {
      for (const listener of this.#readyListeners) listener(redis)
    })
    const heartbeat = heartbeatMs === undefined ? undefined : startHeartbeat(redis, heartbeatMs)
    this.#members.set(name, { redis, heartbeat })
    return redis
  }

  #leave(name: string): void {
    const member = this.#members.get(name)
    this.#members.delete(name)
    member?.heartbeat?.[Symbol.dispose]()
    member?.redis.disconnect()
  }
}
