/**
 * What connections to Redis need, kept equal to the files that it is in: password, password of the sentinels,
 * authority, certificate and key.
 *
 * In: changes of these files, together; that Redis has refused a connection. Out: the settings, read at each attempt
 * to connect. A new version is used when Redis has taken a connection with it. One that is not good, or that Redis
 * refuses, is not used, and that is said once; it is tried again at each look, and when Redis refuses what is in
 * use: which of the two is changed first is up to the operator. Connections that there are stay as they are.
 * Bounds: one trial at a time, TRIAL_PAUSE_MS between two for the same reason.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RedisConfig } from '@breakwater/config'
import { faultOf, tryConnection, type RedisFaultKind, type RedisSettings } from '@breakwater/redis'
import type { Events } from '../observe/events.ts'
import { redisSettings } from './redis-settings.ts'
import type { FileCheck, WatchedFiles } from '../files/watched-files.ts'

export interface RedisFilesOptions {
  readonly config: RedisConfig
  /** As they were read first. */
  readonly settings: RedisSettings
  readonly watched: WatchedFiles
  readonly events: Pick<Events, 'fileInUse' | 'fileRefused'>
}

const TRIAL_PAUSE_MS = 1_000
/** A Secret that is replaced faster than it is read is not being rotated. */
const READS_MAX = 5

/** What a new version of the files may mend. */
const CREDENTIALS: ReadonlySet<RedisFaultKind> = new Set<RedisFaultKind>([
  'password',
  'certificate',
  'tls',
  'closed',
  'sentinels',
])

export class RedisFiles implements RedisSettings, Disposable {
  readonly url: string
  readonly prefix: string
  readonly #options: RedisFilesOptions
  readonly #paths: readonly string[]
  readonly #watch: Disposable | undefined
  #current: RedisSettings
  /** Why the newest version is not in use. */
  #refusal: string | undefined
  #checking: Promise<FileCheck> | undefined
  #resting = false

  constructor(options: RedisFilesOptions) {
    const { config, settings, watched } = options
    this.#options = options
    this.#current = settings
    this.url = settings.url
    this.prefix = settings.prefix
    const { passwordFile, sentinelPasswordFile, caFile, tls } = config
    const named = [passwordFile, sentinelPasswordFile, caFile, tls?.certFile, tls?.keyFile]
    this.#paths = named.filter((path) => path !== undefined)
    if (this.#paths.length > 0)
      this.#watch = watched.watch({ paths: this.#paths, check: () => this.#check() })
  }

  get password(): string | undefined {
    return this.#current.password
  }

  get sentinelPassword(): string | undefined {
    return this.#current.sentinelPassword
  }

  get ca(): string | undefined {
    return this.#current.ca
  }

  get cert(): string | undefined {
    return this.#current.cert
  }

  get key(): string | undefined {
    return this.#current.key
  }

  /** A connection has failed: a version that was refused before may be the right one by now. */
  failed(kind: RedisFaultKind): void {
    if (this.#watch === undefined || this.#resting || !CREDENTIALS.has(kind)) return
    this.#resting = true
    void this.#check()
      .then(() => delay(TRIAL_PAUSE_MS, undefined, { ref: false }))
      .then(() => (this.#resting = false))
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]()
  }

  #check(): Promise<FileCheck> {
    this.#checking ??= this.#look().finally(() => (this.#checking = undefined))
    return this.#checking
  }

  /** Never rejects. */
  async #look(): Promise<FileCheck> {
    const { config, events } = this.#options
    try {
      const candidate = readTogether(config)
      if (isSame(candidate, this.#current)) {
        this.#refusal = undefined
        return 'unchanged'
      }
      await tryConnection(candidate)
      this.#current = candidate
      this.#refusal = undefined
      for (const path of this.#paths) events.fileInUse(path)
      return 'in-use'
    } catch (error) {
      const { text, advice } = faultOf(error as Error)
      const why = advice === '' ? text : `Redis does not take it: ${text}; ${advice}`
      if (why !== this.#refusal) events.fileRefused(this.#paths.join(', '), why)
      this.#refusal = why
      return { refused: why }
    }
  }
}

/** All of before a rotation, or all of after it. @throws {ConfigError} one line */
function readTogether(config: RedisConfig): RedisSettings {
  let read = redisSettings(config)
  for (let reads = 1; reads < READS_MAX; reads += 1) {
    const again = redisSettings(config)
    if (isSame(read, again)) break
    read = again
  }
  return read
}

function isSame(one: RedisSettings, other: RedisSettings): boolean {
  const names = ['password', 'sentinelPassword', 'ca', 'cert', 'key'] as const
  return names.every((name) => one[name] === other[name])
}
