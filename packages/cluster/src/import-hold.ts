/**
 * Keeps a cluster without nodes while something is imported into it. Taking it and joining exclude each other in
 * Redis. Out: `check`, to be called before each write. Bounds: HOLD_MS after the process has gone, or has lost
 * Redis, nodes may join again.
 */
import { randomUUID } from 'node:crypto'
import type { Keys, Servers } from '@breakwater/redis'
import { JoinRefused } from './join-refused.ts'
import { evaluate, FORMAT, HOLD, HOLD_ON, memberKeys, type ScriptPlace } from './scripts.ts'

const HOLD_MS = 15_000
const RENEW_MS = 2_000
/** What was checked and is under way has so long to happen. */
const MARGIN_MS = 4_000

export class ImportHold implements AsyncDisposable {
  readonly #servers: Servers
  readonly #key: string
  readonly #id: string
  readonly #timer: NodeJS.Timeout
  #heldUntil: number
  #lost = false

  private constructor(servers: Servers, key: string, id: string, heldUntil: number) {
    this.#servers = servers
    this.#key = key
    this.#id = id
    this.#heldUntil = heldUntil
    this.#timer = setInterval(() => void this.#renew(), RENEW_MS)
    this.#timer.unref()
  }

  /** @throws {Error} one line: nodes live, another import, or a newer format; or Redis did not answer */
  static async take(servers: Servers, keys: Keys): Promise<ImportHold> {
    const id = randomUUID()
    const askedAt = performance.now()
    const words = [id, HOLD_MS, keys.clusterRoutes(''), FORMAT]
    const answer = await evaluate(
      placeOf(servers, keys.clusterImport),
      HOLD,
      memberKeys(keys),
      ...words,
    )
    const [what, first, leaseMs] = answer as [string, string | number, number?]
    if (what === 'format') throw JoinRefused.format(String(first))
    if (what === 'import') throw JoinRefused.import()
    if (what === 'nodes') {
      const seconds = Math.ceil(Number(leaseMs) / 1_000)
      throw new Error(
        `${first} ${Number(first) === 1 ? 'node runs' : 'nodes run'} on it: stop all of them; one that was killed is gone in ${seconds} s`,
      )
    }
    return new ImportHold(servers, keys.clusterImport, id, askedAt + HOLD_MS)
  }

  /** @throws {Error} nodes may have started since */
  check(): void {
    if (this.#lost || performance.now() > this.#heldUntil - MARGIN_MS)
      throw new Error('Redis was away for too long: nodes may run again; run the import once more')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#hold(0).catch(() => undefined)
  }

  #hold(forMs: number): Promise<unknown> {
    return evaluate(placeOf(this.#servers, this.#key), HOLD_ON, [this.#key], this.#id, forMs)
  }

  async #renew(): Promise<void> {
    const askedAt = performance.now()
    try {
      const held = await this.#hold(HOLD_MS)
      if (held === 1) this.#heldUntil = askedAt + HOLD_MS
      else this.#lost = true
    } catch {
      // The next one asks again; `check` says when that is too late.
    }
  }
}

/** What is wrong is mended for the import, too; the report has no place for it. */
function placeOf(servers: Servers, key: string): ScriptPlace {
  return { redis: servers.of(key), onBadValue: () => undefined }
}
