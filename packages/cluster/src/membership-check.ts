/**
 * Whether Redis knows what this node has told it.
 *
 * In: reasons to check it: each new connection (another server may answer, after a failover; of a cluster one
 * master is enough), and a beat that
 * Redis does not know the node of. Out: everything said again where it is missing, and the handler told what
 * that means, once each. A reason stays until all of it is settled: what fails is tried again at the next beat,
 * and until then nobody may rely on what is known here.
 */
import type { Redis, Servers } from '@breakwater/redis'

export interface Suspicion {
  /** Redis lacks what this node has said. */
  readonly forgotten?: boolean
  /** The lease has ended, with messages lost. */
  readonly leaseLost?: boolean
  /** Another server answers, or another run of it. */
  readonly replaced?: boolean
}

export interface MembershipCheckOptions {
  readonly servers: Servers
  readonly sayEverything: () => Promise<void>
  readonly settled: (suspicion: Suspicion) => void
}

export class MembershipCheck {
  readonly #options: MembershipCheckOptions
  /** Which start of a server each connection has led to. */
  readonly #servers = new WeakMap<Redis, string>()
  #suspicion: Suspicion | undefined
  #settling = false

  constructor(options: MembershipCheckOptions) {
    this.#options = options
  }

  get suspected(): boolean {
    return this.#suspicion !== undefined
  }

  /** Remembers the servers that answer now. @throws {Error} one does not */
  async meet(): Promise<void> {
    await this.#areOthers()
  }

  suspect(more: Suspicion): void {
    this.#suspicion = { ...this.#suspicion, ...more }
  }

  /** @throws {Error} Redis does not answer: the reason stays */
  async settle(): Promise<void> {
    if (this.#settling) return
    this.#settling = true
    try {
      while (this.#suspicion !== undefined) {
        if (await this.#areOthers()) this.suspect({ forgotten: true, replaced: true })
        const suspicion = this.#suspicion
        if (suspicion.forgotten) await this.#options.sayEverything()
        // One that has come meanwhile may be of what was just said.
        if (this.#suspicion !== suspicion) continue
        this.#suspicion = undefined
        this.#options.settled(suspicion)
      }
    } finally {
      this.#settling = false
    }
  }

  async #areOthers(): Promise<boolean> {
    const { servers } = this.#options
    let others = false
    for (const redis of servers.all) {
      // A master that is away is asked when it is back, or who takes its place is.
      if (servers.clustered && redis.status !== 'ready') continue
      const server = await serverOf(redis)
      others ||= server !== this.#servers.get(redis)
      this.#servers.set(redis, server)
    }
    return others
  }
}

/** Names one start of one server. */
async function serverOf(redis: Redis): Promise<string> {
  return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1] ?? ''
}
