/**
 * One owner per client id [MQTT-3.1.4-2]: claimed after authentication, with an epoch from the store.
 *
 * In: claims of connections here, their ends, what other nodes and the store say. Out: the session to whoever
 * keeps the client id; a close to everybody else. ownership-table.ts has the rules. Whoever claims an id that somebody
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
import { Absent, type Contender, type End, type WillDelays } from './contender.ts'
import { OWNERSHIP, type OwnershipAction, type OwnershipEvent } from './ownership-table.ts'
import { OwnershipRecord, OwnershipRecords, type Outcome } from './ownership-records.ts'

/** Owners that are asked about in one call. */
const RESYNC_BATCH = 1_000
/** The store is told again so long after it did not answer. */
const LEAVE_AGAIN_MS = 1_000

export interface OwnershipOptions {
  readonly store: Store
  readonly bus: Bus
  readonly wills: WillDelays
  readonly takeOverTimeoutMs: number
  readonly openTimeoutMs: number
  readonly onFault: (what: string, error: Error) => void
}

/** What the store said instead of a session. */
type Refusal = ClaimRefusal | 'taken-over' | Error

export class Ownership {
  readonly #options: OwnershipOptions
  readonly #records = new OwnershipRecords()
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
    return this.#records.size
  }

  /** Whether the store may have clients that this node no longer has: then others must see to them. */
  get leavesBehind(): boolean {
    return this.#kept || this.#records.size > 0 || this.#leaving.size > 0
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
        const record = new OwnershipRecord(contender, 'claiming', 0)
        record.settle = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome))
        timer = setTimeout(
          () => reject(new Error(`no answer within ${openTimeoutMs} ms`)),
          openTimeoutMs,
        )
        const { clientId } = contender
        const others = this.#records.of(clientId)
        this.#records.add(record)
        // Known here: it need not wait for what the store says.
        for (const other of others)
          if (other.state === 'open' && other.contender.user === contender.user)
            this.#step(other, 'superseded')
        void this.#claim(record)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** The connection has ended. */
  ended(contender: Contender, how: End): void {
    const record = this.#records.of(contender.clientId).find((held) => held.contender === contender)
    if (record !== undefined) this.#step(record, how)
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
    for (const record of this.#records.of(clientId))
      if (record.epoch === epoch) this.#step(record, 'fenced')
  }

  /**
   * Notices may have been missed: the store knows who has been replaced. Where whoever did it has left again it
   * knows of nobody: then the client id is this node's as before. @throws {Error} it does not answer
   */
  async resync(): Promise<void> {
    const held = this.#records.all().filter(({ epoch }) => epoch > 0)
    while (held.length > 0) await this.#fenceReplaced(held.splice(0, RESYNC_BATCH))
    await this.restore()
  }

  /** The store may have forgotten whom this node has, or given them away. @throws {Error} it does not answer */
  async restore(): Promise<void> {
    const held = this.#records
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
    const records: OwnershipRecord[] = []
    for (const { owner, will } of clients) {
      const { clientId, epoch } = owner
      if (this.#records.of(clientId).some((held) => held.epoch === epoch)) continue
      const record = new OwnershipRecord(new Absent(clientId, will), 'lingering', epoch)
      this.#records.add(record)
      records.push(record)
    }
    const ended = records.map((record) => this.#records.ending(record))
    try {
      await this.#fenceReplaced(records)
      for (const record of records) this.#step(record, 'due')
      await Promise.all(ended)
    } catch {
      // They are this node's by now: it looks them up again until it has an answer.
      for (const record of records) {
        this.#records.settled(record)
        this.#act(record, 'retry', undefined)
      }
    }
    return records.length
  }

  /** The node stops: wills that wait are left to others, or published now. */
  stop(how: 'kept' | 'due'): void {
    this.#stopping = true
    for (const record of this.#records.all())
      if (record.state === 'lingering') this.#step(record, how)
  }

  /** Resolves when no will is being published and the store knows of all that have left. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving)
  }

  async #fenceReplaced(records: readonly OwnershipRecord[]): Promise<void> {
    const owners = records.map(({ clientId, epoch }) => ({ clientId, epoch }))
    this.#fence(await this.#options.store.replacedOwners(owners))
  }

  #fence(replaced: readonly Owner[]): void {
    for (const { clientId, epoch } of replaced)
      for (const record of this.#records.of(clientId))
        if (record.epoch > 0 && record.epoch < epoch) this.#step(record, 'fenced')
  }

  async #claim(record: OwnershipRecord): Promise<void> {
    const { clientId, user, persistent, will, account } = record.contender
    const { store, bus } = this.#options
    const claim = { clientId, nodeId: bus.nodeId, user, persistent, account: account?.name }
    let claimed: Claimed | Refusal
    try {
      claimed = await store.claimClient(will === undefined ? claim : { ...claim, will }, {
        isWanted: () => record.state === 'claiming',
        onLate: (late) => this.#claimedLate(record.contender, late),
      })
    } catch (error) {
      claimed = error as Error
    }
    if (claimed instanceof Error || typeof claimed === 'string') {
      this.#refuse(record, claimed)
      return
    }
    record.epoch = claimed.epoch
    record.former = claimed.former
    if (claimed.opened === undefined) this.#step(record, 'claimed')
    else this.#step(record, 'opened', claimed.opened)
    if (record.heard > record.epoch) this.#step(record, 'superseded')
    this.#records.changed(clientId)
  }

  /** The former owner lets go all the same, for whoever comes next. */
  #claimedLate(contender: Contender, { epoch, former }: Claimed): void {
    const record = new OwnershipRecord(contender, 'abandoned', epoch)
    record.former = former
    this.#records.add(record)
    this.#step(record, 'claimed')
  }

  async #open(record: OwnershipRecord): Promise<void> {
    const { user, persistent, account } = record.contender
    const { clientId, epoch } = record
    let opened: OpenedSession | Refusal
    try {
      const terms = { persistent, user, account: account?.name }
      opened = await this.#options.store.openSession({ clientId, epoch }, terms)
    } catch (error) {
      opened = error as Error
    }
    if (opened instanceof Error || typeof opened === 'string') this.#refuse(record, opened)
    else this.#step(record, 'opened', opened)
  }

  #refuse(record: OwnershipRecord, why: Refusal): void {
    const settle = record.settle
    record.settle = undefined
    this.#step(record, 'refused')
    if (why === 'taken-over') record.contender.takenOver()
    settle?.(why === 'taken-over' ? undefined : why)
  }

  #step(record: OwnershipRecord, event: OwnershipEvent, opened?: OpenedSession): void {
    const { action, next } = OWNERSHIP[record.state][event]
    const before = record.state
    // First the state: what an action brings about may come back as the next event.
    record.state = next
    if (next === 'gone' && before !== 'gone') this.#records.delete(record)
    else if (event === 'unpublished') this.#records.settled(record)
    if (event === 'kept') this.#kept = true
    this.#act(record, action, opened)
    if (record.state === 'claiming' || record.state === 'waiting' || record.state === 'opening')
      return
    const { settle } = record
    record.settle = undefined
    settle?.(undefined)
  }

  #act(record: OwnershipRecord, action: OwnershipAction, opened: OpenedSession | undefined): void {
    const { clientId, epoch, contender } = record
    switch (action) {
      case 'ask':
        void this.#ask(record).then(() => this.#step(record, 'released'))
        break
      case 'open':
        void this.#open(record)
        break
      case 'grant':
        record.settle?.(opened)
        record.settle = undefined
        break
      case 'end':
        void this.#end(record)
        break
      case 'close':
        contender.takenOver()
        break
      case 'linger':
      case 'retry':
        this.#options.wills[action]({ clientId, epoch }, (verdict) => this.#step(record, verdict))
        break
      case 'publish':
        this.#track(this.#publish(record))
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
  async #ask(record: OwnershipRecord): Promise<void> {
    const { bus, takeOverTimeoutMs } = this.#options
    const { clientId, epoch } = record
    const { nodeId } = record.former as FormerOwner
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
    for (const record of this.#records.of(clientId)) {
      if (record.epoch === 0) record.heard = Math.max(record.heard, epoch)
      else if (record.epoch < epoch) this.#step(record, 'superseded')
    }
    return this.#records.cleared(clientId, epoch)
  }

  /** Whoever has asked waits so long, and no longer. */
  async #end(record: OwnershipRecord): Promise<void> {
    const { contender } = record
    const finished = contender.finish().then(() => true)
    if ((await within(this.#options.takeOverTimeoutMs, finished)) === true) contender.takenOver()
    else this.#step(record, 'fenced')
  }

  async #publish(record: OwnershipRecord): Promise<void> {
    const { wills } = this.#options
    const published = await wills.publish(record.contender)
    this.#step(record, published ? 'published' : 'unpublished')
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
