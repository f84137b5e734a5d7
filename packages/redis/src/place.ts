/**
 * Where Redis is, as the address says, and every way of connecting to it: `servers` for keys of all kinds,
 * `connection` for one key, by a connection of its own that may block or subscribe. Both follow what moves.
 */
import { parseRedisAddress, type RedisHost } from '@breakwater/config'
import type { Redis } from 'ioredis'
import { connectOrFail, createRedis, type RedisRole, type RedisSettings } from './client.ts'
import { ClusterMap, nameOf } from './cluster-map.ts'
import { ClusterServers, OneServer, type Servers, type ServersOptions } from './servers.ts'
import { slotOf } from './slot.ts'

export interface RedisPlace extends Disposable {
  /** @throws {Error} one line when Redis cannot be reached */
  servers(role: RedisRole, options?: ServersOptions): Promise<Servers>
  /**
   * To the server that has this key, whichever that is in its life. It closes itself.
   *
   * @throws {Error} one line when Redis cannot be reached
   */
  connection(role: RedisRole, key: string): Promise<Redis>
}

/** @throws {Error} one line when a cluster cannot be used; one server is not asked yet */
export async function openPlace(settings: RedisSettings): Promise<RedisPlace> {
  const { cluster, hosts } = parseRedisAddress(settings.url)
  if (!cluster) return new Single(settings)
  const map = new ClusterMap(settings, hosts)
  await map.open()
  return new Clustered(settings, map)
}

class Single implements RedisPlace {
  readonly #settings: RedisSettings

  constructor(settings: RedisSettings) {
    this.#settings = settings
  }

  async servers(role: RedisRole, options: ServersOptions = {}): Promise<Servers> {
    const { timeoutMs, anyRole = false } = options
    const redis = createRedis(this.#settings, role, {
      anyRole,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    })
    await connectOrFail(redis, this.#settings)
    return new OneServer(redis, options)
  }

  async connection(role: RedisRole): Promise<Redis> {
    const redis = createRedis(this.#settings, role)
    await connectOrFail(redis, this.#settings)
    return redis
  }

  [Symbol.dispose](): void {}
}

const MOVED = /^MOVED \d+ (?<host>.*):(?<port>\d+)$/

class Clustered implements RedisPlace {
  readonly #settings: RedisSettings
  readonly #map: ClusterMap

  constructor(settings: RedisSettings, map: ClusterMap) {
    this.#settings = settings
    this.#map = map
  }

  async servers(role: RedisRole, options: ServersOptions = {}): Promise<Servers> {
    const { timeoutMs, anyRole = false } = options
    const connect = (host: RedisHost): Redis =>
      createRedis(this.#settings, role, {
        whereabouts: () => host,
        anyRole,
        // The others of its keys are where they were.
        isMisplaced: (error) => this.#learn(error) && false,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      })
    const servers = new ClusterServers(this.#map, connect, options)
    try {
      await servers.open((redis) => connectOrFail(redis, this.#settings))
    } catch (error) {
      servers[Symbol.dispose]()
      throw error
    }
    return servers
  }

  async connection(role: RedisRole, key: string): Promise<Redis> {
    const slot = slotOf(key)
    let used = ''
    const redis = createRedis(this.#settings, role, {
      whereabouts: () => {
        const host = this.#map.masterOf(slot)
        used = nameOf(host)
        return host
      },
      isMisplaced: (error) => this.#learn(error),
    })
    await connectOrFail(redis, this.#settings)
    const follow = (): void => {
      const wanted = nameOf(this.#map.masterOf(slot))
      if (redis.status === 'ready' && wanted !== '' && wanted !== used) redis.disconnect(true)
    }
    this.#map.onChange(follow)
    redis.on('ready', follow)
    redis.on('close', () => this.#map.hint())
    return redis
  }

  [Symbol.dispose](): void {
    this.#map[Symbol.dispose]()
  }

  /** Whether an answer says that the key is elsewhere. */
  #learn({ message }: Error): boolean {
    const { host = '', port } = MOVED.exec(message)?.groups ?? {}
    if (port === undefined) {
      if (message.startsWith('CLUSTERDOWN')) this.#map.hint()
      return false
    }
    this.#map.hint(host === '' ? undefined : { host, port: Number(port) })
    return true
  }
}
