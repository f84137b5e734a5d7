/**
 * Wills: published when a connection is lost [MQTT-3.1.2-8], unless the client is back within the window.
 *
 * In: owners whose connection was lost, wills to be published. Out: a verdict on each, after a look into the
 * store whether the client is back somewhere; messages. Bounds: LINGERING_MAX wills that wait, the oldest is due
 * early then; PUBLISHING_MAX under way of those that have waited; one timer for all of them.
 */
import { isServerTopic } from '@breakwater/mqtt'
import type { Owner, Store } from '@breakwater/store'
import type { Events } from '../observe/events.ts'
import type { Router } from '../route/router.ts'
import type { Contender, WillDelays, Verdict } from './contender.ts'

const LINGERING_MAX = 100_000
const PUBLISHING_MAX = 500
const RETRY_MS = 1_000
const PERIOD_MS = 200

interface Waiting {
  readonly owner: Owner
  readonly dueAt: number
  readonly say: (verdict: Verdict) => void
}

export interface WillsOptions {
  readonly store: Store
  readonly router: Router
  readonly events: Events
  /** Whether the client may be back at another node. */
  readonly clustered: boolean
  /** For so long a will waits for its client to come back. */
  readonly windowMs: number
}

export class Wills implements WillDelays, Disposable {
  readonly #options: WillsOptions
  /** Each in the order of its due times. */
  #lingering: Waiting[] = []
  #retrying: Waiting[] = []
  #publishing = 0
  #looking = false
  #timer: NodeJS.Timeout | undefined
  #soon = false

  constructor(options: WillsOptions) {
    this.#options = options
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  linger(owner: Owner, say: (verdict: Verdict) => void): void {
    const { windowMs, clustered } = this.#options
    if (windowMs === 0 && !clustered) {
      say('due')
      return
    }
    this.#lingering.push({ owner, dueAt: performance.now() + windowMs, say })
    this.#start()
    // Those of one turn are looked up together.
    if (windowMs > 0 || this.#soon) return
    this.#soon = true
    setImmediate(() => void this.#look())
  }

  retry(owner: Owner, say: (verdict: Verdict) => void): void {
    this.#retrying.push({ owner, dueAt: performance.now() + RETRY_MS, say })
    this.#start()
  }

  publish({ clientId, will, account }: Contender): Promise<boolean> {
    const { router, events } = this.#options
    if (will === undefined) return Promise.resolve(true)
    if (isServerTopic(will.topic)) {
      events.dropped('denied', will.qos)
      return Promise.resolve(true)
    }
    this.#publishing += 1
    return new Promise((resolve) => {
      router.publishOwn(will, { clientId, account: account?.name, appends: 0 }, (error) => {
        this.#publishing -= 1
        if (error !== undefined) events.storeFailed(`will of ${clientId}`, error)
        resolve(error === undefined)
      })
    })
  }

  #start(): void {
    this.#timer ??= setInterval(() => void this.#look(), PERIOD_MS).unref()
  }

  async #look(): Promise<void> {
    this.#soon = false
    if (this.#looking) return
    this.#looking = true
    let batch = this.#take()
    while (batch.length > 0) {
      await this.#decide(batch)
      batch = this.#take()
    }
    this.#looking = false
    if (this.#lingering.length + this.#retrying.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Those that are due, as many as may be published now. */
  #take(): readonly Waiting[] {
    const now = performance.now()
    const free = Math.max(0, PUBLISHING_MAX - this.#publishing)
    const early = this.#lingering.length - LINGERING_MAX
    const due = (queue: readonly Waiting[]): number => {
      const waits = queue.findIndex(({ dueAt }, index) => dueAt > now && index >= early)
      return Math.min(free, waits === -1 ? queue.length : waits)
    }
    return [
      ...this.#lingering.splice(0, due(this.#lingering)),
      ...this.#retrying.splice(0, due(this.#retrying)),
    ]
  }

  /** [MQTT-3.1.2-8]; never after the client's newer words: a client that is back has another epoch. */
  async #decide(batch: readonly Waiting[]): Promise<void> {
    const { store, events } = this.#options
    try {
      const replaced = await store.replacedOwners(batch.map(({ owner }) => owner))
      const epochs = new Map(replaced.map(({ clientId, epoch }) => [clientId, epoch]))
      for (const { owner, say } of batch)
        say((epochs.get(owner.clientId) ?? 0) > owner.epoch ? 'fenced' : 'due')
    } catch (error) {
      events.storeFailed('wills', error as Error)
      for (const { owner, say } of batch) this.retry(owner, say)
    }
  }
}
