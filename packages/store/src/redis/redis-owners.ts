/**
 * Who has which client id, in Redis: per bucket one hash of records and one of wills, per connected client one
 * field. Each step is one script, so that no other node sees half of it.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeMessage } from '@breakwater/bus'
import { bucketOf, BUCKETS, type Keys, type OnBadValue, type Servers } from '@breakwater/redis'
import { byBucket, pipelined, sessionKeys } from './buckets.ts'
import {
  ADOPT,
  CLAIM,
  LEAVE,
  OPEN,
  RESTORE,
  TAKEN_OVER,
  UNMAKE,
  WITHDRAW,
} from '../scripts/owner-scripts.ts'
import { readableMessage } from './readable-message.ts'
import { subscriptionsIn } from './redis-filters.ts'
import type { RedisUsers } from './redis-users.ts'
import { evaluate, FENCED } from '../scripts/scripts.ts'
import type {
  AdoptedClient,
  Claimant,
  Claimed,
  ClaimRefusal,
  ClientClaim,
  HeldClient,
  OpenedSession,
  Owner,
  SessionTerms,
} from '../store.ts'

/** Of one step: what it brings is in memory at once. */
const ADOPT_BUCKETS = 16
/** Of one bucket: so long it holds the server up. */
const ADOPT_RECORDS = 100
const ADOPT_BYTES_MAX = 65_536
const LOOK_AGAIN_MS = 50
const WITHDRAW_AGAIN_MS = 1_000

export interface RedisOwnersOptions {
  readonly control: Servers
  readonly keys: Keys
  readonly users: RedisUsers
  /** A claim waits so long for a lost connection. */
  readonly timeoutMs: number
  readonly onBadValue: OnBadValue
  /** Resolves when everything that this node has written before for a client has its answer. */
  readonly written: (clientId: string) => Promise<void>
  /** Does it, and resolves when it counts as acknowledged. */
  readonly confirmed: Confirmed
}

type Confirmed = <Result>(clientId: string, operation: () => Promise<Result>) => Promise<Result>

export class RedisOwners {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #users: RedisUsers
  readonly #onBadValue: OnBadValue
  readonly #timeoutMs: number
  readonly #written: (clientId: string) => Promise<void>
  readonly #confirmed: Confirmed
  /** Clients on their way out: a will that stayed behind would be published once more. */
  readonly #leaving = new Set<Promise<void>>()
  /** Numbers the claims of this node. */
  #claims: number = randomInt(2 ** 32)
  #adoptions = 0
  #lookingForRedis: Promise<void> | undefined
  #closing = false

  constructor(options: RedisOwnersOptions) {
    const { control, keys, users, onBadValue, timeoutMs, written, confirmed } = options
    this.#onBadValue = onBadValue
    this.#control = control
    this.#keys = keys
    this.#users = users
    this.#timeoutMs = timeoutMs
    this.#written = written
    this.#confirmed = confirmed
  }

  async claim(claim: ClientClaim, claimant?: Claimant): Promise<Claimed | ClaimRefusal> {
    this.#claims += 1
    const number = this.#claims.toString(36)
    // The session may have been in this node's hands until now: what it settled must be seen here.
    if (claim.persistent) await this.#written(claim.clientId)
    await this.#reached()
    if (claimant?.isWanted() === false)
      throw new Error('the connection ended before its client id was claimed')
    const make = () => this.#claim(claim, number)
    try {
      return await (claim.persistent ? this.#confirmed(claim.clientId, make) : make())
    } catch (error) {
      void this.#withdraw(claim, number).then((late) => {
        if (late !== undefined) claimant?.onLate(late)
      })
      throw error
    }
  }

  async open(
    { clientId, epoch }: Owner,
    terms: SessionTerms,
  ): Promise<OpenedSession | 'taken-over' | ClaimRefusal> {
    if (terms.persistent) await this.#written(clientId)
    const words = [...wordsOf(clientId, terms), epoch]
    const make = async (): Promise<OpenedSession | 'taken-over' | ClaimRefusal> => {
      const keys = sessionKeys(this.#keys, clientId)
      const answer = await evaluate(this.#control, OPEN, keys, words)
      if (answer === TAKEN_OVER) return 'taken-over'
      if (answer === FENCED) return 'another-user'
      return await this.#counted({ clientId, epoch }, terms, answer as Opened)
    }
    return await (terms.persistent ? this.#confirmed(clientId, make) : make())
  }

  leave(owner: Owner): Promise<void> {
    const left = this.#leave(owner)
    const done = left.catch(() => undefined).finally(() => this.#leaving.delete(done))
    this.#leaving.add(done)
    return left
  }

  /** Resolves when everybody who is on the way out has left. */
  async settled(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#leaving)
  }

  async replaced(owners: readonly Owner[]): Promise<readonly Owner[]> {
    const buckets = [...byBucket(owners.map(({ clientId }) => clientId))]
    const answers = await pipelined(
      this.#control,
      buckets.map(([bucket, ids]) => ['hmget', this.#keys.owners(bucket), ...ids]),
    )
    const epochs = new Map<string, number>()
    for (const [index, [, ids]] of buckets.entries())
      for (const [place, clientId] of ids.entries()) {
        const record = (answers[index] as (Buffer | null)[])[place]
        // The epoch comes first.
        if (record) epochs.set(clientId, Number.parseInt(record.toString(), 10))
      }
    return owners.flatMap(({ clientId, epoch }) => {
      const now = epochs.get(clientId) ?? 0
      return now > epoch ? [{ clientId, epoch: now }] : []
    })
  }

  async restore(clients: readonly HeldClient[]): Promise<readonly Owner[]> {
    const epochs = await Promise.all(
      clients.map(({ clientId, epoch, nodeId, user, will }) => {
        const bucket = bucketOf(clientId)
        return evaluate(
          this.#control,
          RESTORE,
          [this.#keys.owners(bucket), this.#keys.wills(bucket), this.#keys.session(clientId)],
          [clientId, epoch, nodeId, user, will === undefined ? '' : encodeMessage(will)],
        )
      }),
    )
    return clients.flatMap(({ clientId }, index) => {
      const later = Number(epochs[index])
      return later > 0 ? [{ clientId, epoch: later }] : []
    })
  }

  async *adopt(
    departedNodeId: string | undefined,
    byNodeId: string,
  ): AsyncIterable<readonly AdoptedClient[]> {
    this.#adoptions += 1
    const adoption = this.#adoptions.toString(36)
    // No node id is empty.
    const from = departedNodeId ?? ''
    const earlierToo = departedNodeId === undefined ? 1 : 0
    let call = 0
    for (let first = 0; first < BUCKETS; first += ADOPT_BUCKETS) {
      let scans = Array.from({ length: ADOPT_BUCKETS }, (_, index) => ({
        bucket: first + index,
        cursor: '0',
      }))
      while (scans.length > 0) {
        const answers = await Promise.all(
          scans.map(({ bucket, cursor }) => {
            call += 1
            const keys = [this.#keys.owners(bucket), this.#keys.wills(bucket)]
            const bounds = [ADOPT_RECORDS, ADOPT_BYTES_MAX]
            const words = [from, byNodeId, cursor, ...bounds, adoption, call, earlierToo]
            return evaluate(this.#control, ADOPT, keys, words)
          }),
        )
        const chunk: AdoptedClient[] = []
        const next: typeof scans = []
        for (const [index, answer] of answers.entries()) {
          const [cursor, ...found] = answer as [Buffer, ...Buffer[]]
          const { bucket } = scans[index] as { bucket: number }
          if (cursor.toString() !== '0') next.push({ bucket, cursor: cursor.toString() })
          for (let place = 0; place + 2 < found.length; place += 3) {
            const owner = { clientId: String(found[place]), epoch: Number(found[place + 1]) }
            const key = this.#keys.wills(bucket)
            const will = readableMessage(found[place + 2] as Buffer, key, this.#onBadValue)
            if (will !== undefined) chunk.push({ owner, will })
            // Like one that left none.
            else void this.leave(owner).catch(() => undefined)
          }
        }
        scans = next
        if (chunk.length > 0) yield chunk
      }
    }
  }

  async #claim(claim: ClientClaim, number: string): Promise<Claimed | ClaimRefusal> {
    const { clientId, nodeId, will } = claim
    const answer = await evaluate(
      this.#control,
      CLAIM,
      [...sessionKeys(this.#keys, clientId), this.#keys.wills(bucketOf(clientId))],
      [...wordsOf(clientId, claim), nodeId, number, will === undefined ? '' : encodeMessage(will)],
    )
    if (answer === FENCED) return 'another-user'
    const [text, second, node] = answer as readonly [Buffer, Buffer | Opened, Buffer?]
    const epoch = Number(text)
    if (node !== undefined) return formerIn(answer as Former)
    const opened = await this.#counted({ clientId, epoch }, claim, second as Opened)
    return opened === 'sessions-full' ? opened : { epoch, opened }
  }

  /** Of a session that has just been opened: a new one counts for its user from now on, if it may. */
  async #counted(
    owner: Owner,
    { persistent, account }: SessionTerms,
    answer: Opened,
  ): Promise<OpenedSession | 'sessions-full'> {
    const { clientId, epoch } = owner
    const opened = this.#openedIn(clientId, answer, epoch)
    const counts = answer[5]
    if (!persistent) {
      // What is left in the set is found when that is full.
      if (counts !== null) await this.#users.leave(String(counts), clientId).catch(() => undefined)
      return opened
    }
    if (counts !== null || account === undefined) return opened
    if (await this.#users.enter(account, owner, opened.present)) return opened
    const keys = [...sessionKeys(this.#keys, clientId), this.#keys.wills(bucketOf(clientId))]
    await evaluate(this.#control, UNMAKE, keys, [clientId, epoch])
    return 'sessions-full'
  }

  #openedIn(
    clientId: string,
    [present, sent, released, received, filters]: Opened,
    epoch: number,
  ): OpenedSession {
    const subscriptions = subscriptionsIn(filters, this.#keys.filters(clientId), this.#onBadValue)
    const ids = received.map(Number).filter(isPacketId)
    if (ids.length < received.length) this.#tell('inbound', this.#keys.inbound(clientId))
    const pairs = released.map(Number)
    const inOrder = releasedIn(pairs)
    if (2 * inOrder.length < pairs.length) this.#tell('release', this.#keys.release(clientId))
    return {
      present: present === 1,
      epoch,
      subscriptions,
      sentPosition: Number(sent),
      released: inOrder,
      received: ids,
    }
  }

  #tell(kind: 'inbound' | 'release', key: string): void {
    this.#onBadValue({ kind, key, why: 'a packet id is none' })
  }

  async #leave({ clientId, epoch }: Owner): Promise<void> {
    // Whoever has the client id next finds everything that this owner has settled.
    await this.#written(clientId)
    const bucket = bucketOf(clientId)
    const keys = [this.#keys.owners(bucket), this.#keys.wills(bucket), this.#keys.sessions(bucket)]
    await evaluate(this.#control, LEAVE, keys, [clientId, Date.now(), epoch])
  }

  /**
   * Not in the line of the client, where a claim would happen however late, and take the client id from whoever has
   * it by then. In a cluster there is none. @throws {Error} Redis is not back in time
   */
  async #reached(): Promise<void> {
    if (this.#isReached) return
    this.#lookingForRedis ??= this.#lookForRedis()
    const timeout = new AbortController()
    await Promise.race([
      this.#lookingForRedis,
      delay(this.#timeoutMs, undefined, { signal: timeout.signal }).catch(() => undefined),
    ])
    timeout.abort()
    if (!this.#isReached) throw new Error('no connection')
  }

  /** For all that wait. */
  async #lookForRedis(): Promise<void> {
    while (!this.#isReached && !this.#closing) await delay(LOOK_AGAIN_MS, undefined, { ref: false })
    this.#lookingForRedis = undefined
  }

  get #isReached(): boolean {
    return this.#control.clustered || this.#control.ready
  }

  /**
   * What had no answer in time may still happen, before this does: both take the same connection. Asked until there
   * is an answer. Returns the claim if it has happened and the former owner is to let go.
   */
  async #withdraw({ clientId, nodeId }: ClientClaim, number: string): Promise<Claimed | undefined> {
    const bucket = bucketOf(clientId)
    const keys = [this.#keys.owners(bucket), this.#keys.wills(bucket)]
    for (;;) {
      if (!this.#isReached) await (this.#lookingForRedis ??= this.#lookForRedis())
      try {
        const answer = await evaluate(this.#control, WITHDRAW, keys, [clientId, nodeId, number])
        return typeof answer === 'number' ? undefined : formerIn(answer as Former)
      } catch {
        if (this.#closing) return undefined
        await delay(WITHDRAW_AGAIN_MS, undefined, { ref: false })
      }
    }
  }
}

type Former = readonly [epoch: Buffer, before: Buffer, node: Buffer]

function formerIn([epoch, before, node]: Former): Claimed {
  return { epoch: Number(epoch), former: { nodeId: node.toString(), epoch: Number(before) } }
}

type Opened = readonly [
  present: number,
  sent: Buffer,
  released: readonly Buffer[],
  received: readonly Buffer[],
  filters: readonly Buffer[],
  account: Buffer | null,
]

/** What every script that opens a session is told first. */
function wordsOf(clientId: string, { persistent, user }: SessionTerms): (string | number)[] {
  return [clientId, Date.now(), user, persistent ? 1 : 0]
}

function isPacketId(id: number): boolean {
  return Number.isInteger(id) && id >= 1 && id <= 65_535
}

/** Packet ids in the order in which they were released. */
function releasedIn(pairs: readonly number[]): readonly number[] {
  const released: { packetId: number; order: number }[] = []
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const [packetId, order] = [pairs[index] as number, pairs[index + 1] as number]
    if (isPacketId(packetId) && Number.isSafeInteger(order)) released.push({ packetId, order })
  }
  return released.sort((a, b) => a.order - b.order).map(({ packetId }) => packetId)
}
