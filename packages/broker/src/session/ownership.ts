/**
 * One owner per client id [MQTT-3.1.4-2]: claimed after authentication, with an epoch from the store.
 *
 * In: claims of connections here, their ends, what other nodes and the store say. Out: the session to whoever
 * keeps the client id; a close to everybody else. tenure.ts has the rules. Whoever claims an id that somebody
 * has asks the node that has it to let go, and opens the session when that node has confirmed; a node confirms
 * when nothing with a lower epoch is left there, connections that only wait for the id themselves included. So
 * the highest epoch wins, and its session opens when everybody before it has said the last word.
 *
 * Bounds: `takeOverTimeoutMs` for the former owner; no time at all where nobody listens, because its process is
 * gone; `openTimeoutMs` for all of it. What a former owner that was not waited for writes later is refused by the
 * store.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Bus, OwnerNotice } from '@breakwater/bus'
import type {
  AdoptedClient,
  Claimed,
  ClaimRefusal,
  FormerOwner,
  OpenedSession,
  Owner,
  Store,
} from '@breakwater/store'
import { Absent, type Contender, type End, type LastWords } from './contender.ts'
import { TENURE, type TenureAction, type TenureEvent } from './tenure.ts'
import { Tenure, Tenures, type Outcome } from './tenures.ts'

/** Owners that are asked about in one call. */
const RESYNC_BATCH = 1_000
/** The store is told again so long after it did not answer. */
const LEAVE_AGAIN_MS = 1_000

export interface OwnershipOptions {
  readonly store: Store
  readonly bus: Bus
  readonly lastWords: LastWords
  readonly takeOverTimeoutMs: number
  readonly openTimeoutMs: number
  readonly onFault: (what: string, error: Error) => void
}

/** What the store said instead of a session. */
type Refusal = ClaimRefusal | 'taken-over' | Error

export class Ownership {
  readonly #options: OwnershipOptions
  readonly #tenures = new Tenures()
  /** Claims that wait for the confirmation of another node. */
  readonly #asking = new Map<string, () => void>()
  /** Answers of the store that nobody waits for. */
  readonly #leaving = new Set<Promise<void>>()
  #kept = false
  #stopping = false

  constructor(options: OwnershipOptions) {
    this.#options = options
  }

  /** Client ids that are not let go of. */
  get size(): number {
    return this.#tenures.size
  }

  /** Whether the store may have clients that this node no longer has: then others must see to them. */
  get leavesBehind(): boolean {
    return this.#kept || this.#tenures.size > 0 || this.#leaving.size > 0
  }

  /**
   * Resolves with the session of the client, or undefined if the connection has ended meanwhile or another one
   * has taken the client id. The connection, and the session, of another user stay as they are.
   *
   * @throws {Error} the store does not answer
   */
  async claim(contender: Contender): Promise<Outcome> {
    const { openTimeoutMs } = this.#options
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<Outcome>((resolve, reject) => {
        const tenure = new Tenure(contender, 'claiming', 0)
        tenure.settle = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome))
        timer = setTimeout(
          () => reject(new Error(`no answer within ${openTimeoutMs} ms`)),
          openTimeoutMs,
        )
        const { clientId } = contender
        const others = this.#tenures.of(clientId)
        this.#tenures.add(tenure)
        // Known here: it need not wait for what the store says.
        for (const other of others)
          if (other.state === 'open' && other.contender.user === contender.user)
            this.#step(other, 'superseded')
        void this.#claim(tenure)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** The connection has ended. */
  ended(contender: Contender, how: End): void {
    const tenure = this.#tenures.of(contender.clientId).find((held) => held.contender === contender)
    if (tenure !== undefined) this.#step(tenure, how)
  }

  /** What another node says. */
  notice(from: string, { kind, clientId, epoch }: OwnerNotice): void {
    if (kind === 'let-go') this.#asking.get(claimKey(clientId, epoch))?.()
    // Other kinds are those of later versions.
    else if (kind === 'taken-over')
      void this.#letGo(clientId, epoch).then(() =>
        // Lost, it costs the other node its time-out.
        this.#options.bus.notify(from, { kind: 'let-go', clientId, epoch }).catch(() => undefined),
      )
  }

  /** The store has refused a write of this owner. */
  fenced({ clientId, epoch }: Owner): void {
    for (const tenure of this.#tenures.of(clientId))
      if (tenure.epoch === epoch) this.#step(tenure, 'fenced')
  }

  /**
   * Notices may have been missed: the store knows who has been replaced. Where whoever did it has left again it
   * knows of nobody: then the client id is this node's as before. @throws {Error} it does not answer
   */
  async resync(): Promise<void> {
    const held = this.#tenures.all().filter(({ epoch }) => epoch > 0)
    while (held.length > 0) await this.#fenceReplaced(held.splice(0, RESYNC_BATCH))
    await this.restore()
  }

  /** The store may have forgotten whom this node has, or given them away. @throws {Error} it does not answer */
  async restore(): Promise<void> {
    const held = this.#tenures
      .all()
      .filter(({ state }) => state === 'open' || state === 'lingering')
    while (held.length > 0) {
      const batch = held.splice(0, RESYNC_BATCH)
      const clients = batch.map(({ clientId, epoch, contender: { user, will } }) => {
        const client = { clientId, epoch, nodeId: this.#options.bus.nodeId, user }
        return will === undefined ? client : { ...client, will }
      })
      this.#fence(await this.#options.store.restoreOwners(clients))
      // Whoever has left meanwhile, or been replaced, may have been put back.
      for (const { state, clientId, epoch } of batch)
        if (state === 'gone' || state === 'ousted') this.#track(this.#leave({ clientId, epoch }))
    }
  }

  /**
   * Clients of a node that is gone, which are this node's now: resolves when their wills are published, or were
   * tried once, but not of those who are back by then. They are held first and looked up then, so that whoever
   * claims one of them meanwhile is heard here. Returns how many are new here.
   */
  async adopt(clients: readonly AdoptedClient[]): Promise<number> {
    const tenures: Tenure[] = []
    for (const { owner, will } of clients) {
      const { clientId, epoch } = owner
      if (this.#tenures.of(clientId).some((held) => held.epoch === epoch)) continue
      const tenure = new Tenure(new Absent(clientId, will), 'lingering', epoch)
      this.#tenures.add(tenure)
      tenures.push(tenure)
    }
    const ended = tenures.map((tenure) => this.#tenures.ending(tenure))
    try {
      await this.#fenceReplaced(tenures)
      for (const tenure of tenures) this.#step(tenure, 'due')
      await Promise.all(ended)
    } catch {
      // They are this node's by now: it looks them up again until it has an answer.
      for (const tenure of tenures) {
        this.#tenures.settled(tenure)
        this.#act(tenure, 'retry', undefined)
      }
    }
    return tenures.length
  }

  /** The node stops: wills that wait are left to others, or published now. */
  stop(how: 'kept' | 'due'): void {
    this.#stopping = true
    for (const tenure of this.#tenures.all())
      if (tenure.state === 'lingering') this.#step(tenure, how)
  }

  /** Resolves when no will is being published and the store knows of all that have left. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving)
  }

  async #fenceReplaced(tenures: readonly Tenure[]): Promise<void> {
    const owners = tenures.map(({ clientId, epoch }) => ({ clientId, epoch }))
    this.#fence(await this.#options.store.replacedOwners(owners))
  }

  #fence(replaced: readonly Owner[]): void {
    for (const { clientId, epoch } of replaced)
      for (const tenure of this.#tenures.of(clientId))
        if (tenure.epoch > 0 && tenure.epoch < epoch) this.#step(tenure, 'fenced')
  }

  async #claim(tenure: Tenure): Promise<void> {
    const { clientId, user, persistent, will, account } = tenure.contender
    const { store, bus } = this.#options
    const claim = { clientId, nodeId: bus.nodeId, user, persistent, account: account?.name }
    let claimed: Claimed | Refusal
    try {
      claimed = await store.claimClient(will === undefined ? claim : { ...claim, will }, {
        isWanted: () => tenure.state === 'claiming',
        onLate: (late) => this.#claimedLate(tenure.contender, late),
      })
    } catch (error) {
      claimed = error as Error
    }
    if (claimed instanceof Error || typeof claimed === 'string') {
      this.#refuse(tenure, claimed)
      return
    }
    tenure.epoch = claimed.epoch
    tenure.former = claimed.former
    if (claimed.opened === undefined) this.#step(tenure, 'claimed')
    else this.#step(tenure, 'opened', claimed.opened)
    if (tenure.heard > tenure.epoch) this.#step(tenure, 'superseded')
    this.#tenures.changed(clientId)
  }

  /** The former owner lets go all the same, for whoever comes next. */
  #claimedLate(contender: Contender, { epoch, former }: Claimed): void {
    const tenure = new Tenure(contender, 'abandoned', epoch)
    tenure.former = former
    this.#tenures.add(tenure)
    this.#step(tenure, 'claimed')
  }

  async #open(tenure: Tenure): Promise<void> {
    const { user, persistent, account } = tenure.contender
    const { clientId, epoch } = tenure
    let opened: OpenedSession | Refusal
    try {
      const terms = { persistent, user, account: account?.name }
      opened = await this.#options.store.openSession({ clientId, epoch }, terms)
    } catch (error) {
      opened = error as Error
    }
    if (opened instanceof Error || typeof opened === 'string') this.#refuse(tenure, opened)
    else this.#step(tenure, 'opened', opened)
  }

  #refuse(tenure: Tenure, why: Refusal): void {
    const settle = tenure.settle
    tenure.settle = undefined
    this.#step(tenure, 'refused')
    if (why === 'taken-over') tenure.contender.takenOver()
    settle?.(why === 'taken-over' ? undefined : why)
  }

  #step(tenure: Tenure, event: TenureEvent, opened?: OpenedSession): void {
    const { action, next } = TENURE[tenure.state][event]
    const before = tenure.state
    // First the state: what an action brings about may come back as the next event.
    tenure.state = next
    if (next === 'gone' && before !== 'gone') this.#tenures.delete(tenure)
    else if (event === 'unpublished') this.#tenures.settled(tenure)
    if (event === 'kept') this.#kept = true
    this.#act(tenure, action, opened)
    if (tenure.state === 'claiming' || tenure.state === 'waiting' || tenure.state === 'opening')
      return
    const { settle } = tenure
    tenure.settle = undefined
    settle?.(undefined)
  }

  #act(tenure: Tenure, action: TenureAction, opened: OpenedSession | undefined): void {
    const { clientId, epoch, contender } = tenure
    switch (action) {
      case 'ask':
        void this.#ask(tenure).then(() => this.#step(tenure, 'released'))
        break
      case 'open':
        void this.#open(tenure)
        break
      case 'grant':
        tenure.settle?.(opened)
        tenure.settle = undefined
        break
      case 'end':
        void this.#end(tenure)
        break
      case 'close':
        contender.takenOver()
        break
      case 'linger':
      case 'retry':
        this.#options.lastWords[action]({ clientId, epoch }, (verdict) =>
          this.#step(tenure, verdict),
        )
        break
      case 'publish':
        this.#track(this.#publish(tenure))
        break
      case 'fail':
      case 'leave':
        if (epoch > 0) this.#track(this.#leave({ clientId, epoch }))
        break
      case 'nothing':
        break
    }
  }

  /** Resolves when nobody before it is left, or the time for that is over. */
  async #ask(tenure: Tenure): Promise<void> {
    const { bus, takeOverTimeoutMs } = this.#options
    const { clientId, epoch } = tenure
    const { nodeId } = tenure.former as FormerOwner
    const asked = [this.#letGo(clientId, epoch)]
    if (nodeId !== bus.nodeId) {
      const confirmed = Promise.withResolvers<void>()
      this.#asking.set(claimKey(clientId, epoch), confirmed.resolve)
      asked.push(confirmed.promise)
      bus.notify(nodeId, { kind: 'taken-over', clientId, epoch }).then(
        (listens) => {
          if (!listens) confirmed.resolve()
        },
        () => confirmed.resolve(),
      )
    }
    await within(takeOverTimeoutMs, Promise.all(asked))
    this.#asking.delete(claimKey(clientId, epoch))
  }

  /** Ends what has a lower epoch here; resolves when nothing of it is left. */
  #letGo(clientId: string, epoch: number): Promise<void> {
    for (const tenure of this.#tenures.of(clientId)) {
      if (tenure.epoch === 0) tenure.heard = Math.max(tenure.heard, epoch)
      else if (tenure.epoch < epoch) this.#step(tenure, 'superseded')
    }
    return this.#tenures.cleared(clientId, epoch)
  }

  /** Whoever has asked waits so long, and no longer. */
  async #end(tenure: Tenure): Promise<void> {
    const { contender } = tenure
    const finished = contender.finish().then(() => true)
    if ((await within(this.#options.takeOverTimeoutMs, finished)) === true) contender.takenOver()
    else this.#step(tenure, 'fenced')
  }

  async #publish(tenure: Tenure): Promise<void> {
    const { lastWords } = this.#options
    const published = await lastWords.publish(tenure.contender)
    this.#step(tenure, published ? 'published' : 'unpublished')
  }

  /** Told until it is heard: who stays in the store keeps a session, and a will for other nodes to publish. */
  async #leave(owner: Owner): Promise<void> {
    const { store, onFault } = this.#options
    for (let tries = 1; ; tries += 1) {
      try {
        await store.leaveClient(owner)
        return
      } catch (error) {
        if (tries === 1) onFault(`end of ${owner.clientId}`, error as Error)
      }
      do {
        if (this.#stopping) {
          this.#kept = true
          return
        }
        await delay(LEAVE_AGAIN_MS, undefined, { ref: false })
      } while (!store.available)
    }
  }

  #track(work: Promise<void>): void {
    this.#leaving.add(work)
    void work.finally(() => this.#leaving.delete(work))
  }
}

/** Epochs rise for one client id; two may have the same. */
function claimKey(clientId: string, epoch: number): string {
  return `${epoch}:${clientId}`
}

/** Undefined if it took longer. */
async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
