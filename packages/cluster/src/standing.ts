/**
 * Whether Redis knows what this node has told it.
 *
 * In: reasons to doubt it: each new connection (another server may answer, after a failover), and a beat that
 * Redis does not know the node of. Out: everything said again where it is missing, and the handler told what
 * that means, once each. A doubt stays until all of it is settled: what fails is tried again at the next beat,
 * and until then nobody may rely on what is known here.
 */
import type { Redis } from '@breakwater/redis'

export interface Doubt {
  /** Redis lacks what this node has said. */
  readonly forgotten?: boolean
  /** The lease has ended, with messages lost. */
  readonly leaseLost?: boolean
  /** Another server answers, or another run of it. */
  readonly replaced?: boolean
}

export interface StandingOptions {
  readonly redis: Redis
  readonly sayEverything: () => Promise<void>
  readonly settled: (doubt: Doubt) => void
}

export class Standing {
  readonly #options: StandingOptions
  #server = ''
  #doubt: Doubt | undefined
  #settling = false

  constructor(options: StandingOptions) {
    this.#options = options
  }

  get doubted(): boolean {
    return this.#doubt !== undefined
  }

  /** Remembers the server that answers now. @throws {Error} none does */
  async meet(): Promise<void> {
    this.#server = await serverOf(this.#options.redis)
  }

  doubt(more: Doubt): void {
    this.#doubt = { ...this.#doubt, ...more }
  }

  /** @throws {Error} Redis does not answer: the doubt stays */
  async settle(): Promise<void> {
    if (this.#settling) return
    this.#settling = true
    try {
      while (this.#doubt !== undefined) {
        const server = await serverOf(this.#options.redis)
        if (server !== this.#server) this.doubt({ forgotten: true, replaced: true })
        this.#server = server
        const doubt = this.#doubt
        if (doubt.forgotten) await this.#options.sayEverything()
        // One that has come meanwhile may be of what was just said.
        if (this.#doubt !== doubt) continue
        this.#doubt = undefined
        this.#options.settled(doubt)
      }
    } finally {
      this.#settling = false
    }
  }
}

/** Names one start of one server. */
async function serverOf(redis: Redis): Promise<string> {
  return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1] ?? ''
}
