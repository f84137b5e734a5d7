/**
 * Queues of shared subscriptions in Redis. Members come and go in order with the appends of this node's
 * publishers; what members have finished goes to Redis as the receipts of sessions do.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import type { Keys, OnBadValue, Servers } from '@breakwater/redis'
import type { Operation } from './publish-writer.ts'
import { readableMessage } from './readable-message.ts'
import { evaluate, type Argument, type Script } from '../scripts/scripts.ts'
import { SHARED_CLAIM, SHARED_READ } from '../scripts/shared-scripts.ts'
import type {
  SharedAppend,
  SharedDone,
  SharedMemberId,
  SharedQueued,
  SharedQueues,
  SharedRead,
} from '../shared-queues.ts'
import type { RedisUsers } from './redis-users.ts'
import type { WriterGroups } from './writer-groups.ts'

/** Entries that one call looks at: about 2 ms of the server. */
const LOOK_MAX = 1_000
/** Entered by SUBSCRIBEs under way, or by some whose client has gone. */
const ENTERED_MAX = 10_000
/** What their hash has for the epoch of an owner: nobody owns them. */
const EPOCH = 0

export class RedisShared implements SharedQueues {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #writers: WriterGroups
  readonly #users: RedisUsers
  /** Of groups that were entered and not joined yet. */
  readonly #rooms = new Map<string, number>()
  readonly #onBadValue: OnBadValue

  constructor(parts: {
    readonly control: Servers
    readonly keys: Keys
    readonly writers: WriterGroups
    readonly users: RedisUsers
    readonly onBadValue: OnBadValue
  }) {
    this.#control = parts.control
    this.#keys = parts.keys
    this.#writers = parts.writers
    this.#onBadValue = parts.onBadValue
    this.#users = parts.users
  }

  async enter(filter: string, account: string): Promise<boolean> {
    const room = await this.#users.enterGroup(account, filter)
    if (room === 0) return false
    this.#rooms.set(filter, room)
    if (this.#rooms.size > ENTERED_MAX)
      for (const oldest of [...this.#rooms.keys()].slice(0, 1)) this.#rooms.delete(oldest)
    return true
  }

  async left(filter: string, account: string): Promise<void> {
    // Behind the leave of its last member, which waits for the receipts.
    await this.settled()
    await immediate()
    await this.#writers.of(filter).publishes.settled()
    await this.#users.leaveGroup(account, filter).catch(() => undefined)
  }

  join(filter: string, member: SharedMemberId, done: SharedDone): void {
    const room = this.#rooms.get(filter) ?? ''
    this.#rooms.delete(filter)
    this.#write(filter, { keys: this.#keysOf(filter), words: ['J', member, room] }, (error) => {
      if (error !== undefined || member.startsWith('c')) done(error)
      else this.#joined(filter, member, done)
    })
  }

  leave(filter: string, member: SharedMemberId, done: SharedDone): void {
    this.#write(filter, { keys: this.#keysOf(filter), words: ['L', member] }, done)
  }

  async claim(filter: string, node: string, fromPosition: number): Promise<number> {
    return Number(await this.#evaluate(SHARED_CLAIM, filter, [node, fromPosition, LOOK_MAX]))
  }

  async read(
    filter: string,
    node: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<SharedRead> {
    const args = [node, fromPosition, messagesMax, bytesMax, LOOK_MAX]
    const answer = await this.#evaluate(SHARED_READ, filter, args)
    const [next, more, ...fields] = answer as [number, number, ...Buffer[]]
    const found: SharedQueued[] = []
    for (let index = 0; index + 2 < fields.length; index += 3) {
      const position = Number(fields[index])
      const bytes = fields[index + 2] as Buffer
      const message = readableMessage(bytes, this.#keys.sharedQueue(filter), this.#onBadValue)
      if (message !== undefined)
        found.push({ position, hash: Number(fields[index + 1]) || 0, message })
      // No member is to meet it again.
      else this.settle(filter, position, bytes.length, () => undefined)
    }
    return { found, next, more: more === 1 }
  }

  settle(filter: string, position: number, bytes: number, done: SharedDone): void {
    const { sharedReceipts } = this.#writers.of(filter)
    sharedReceipts.settle({ clientId: filter, epoch: EPOCH }, position, bytes, done)
  }

  settled(): Promise<void> {
    return this.#writers.settled((group) => [group.sharedReceipts])
  }

  handOn(filter: string, positions: readonly number[], done: SharedDone): void {
    const keys = [this.#keys.shared(filter), this.#keys.sharedQueue(filter)]
    this.#write(filter, { keys, words: ['H', positions.join()] }, done)
  }

  #joined(filter: string, member: SharedMemberId, done: SharedDone): void {
    this.#forgetDead(filter, member).then(() => done(), done)
  }

  /**
   * Nodes of which nobody was left to say that they are gone. A node is registered before it has members, so
   * one that is a member and not registered any more is no race.
   */
  async #forgetDead(filter: string, self: SharedMemberId): Promise<void> {
    const members = await this.#textsOf('smembers', this.#keys.sharedMembers(filter))
    const nodes = members.filter((member) => member.startsWith('n'))
    if (nodes.length < 2) return
    const alive = new Set(await this.#textsOf('hkeys', this.#keys.clusterNodes))
    // A Redis that came back empty does not know its nodes yet.
    if (!alive.has(self.slice(1))) return
    for (const node of nodes)
      if (!alive.has(node.slice(1))) this.leave(filter, node as SharedMemberId, () => undefined)
  }

  #keysOf(filter: string): readonly string[] {
    const keys = this.#keys
    return [keys.shared(filter), keys.sharedQueue(filter), keys.sharedMembers(filter)]
  }

  async #textsOf(command: 'smembers' | 'hkeys', key: string): Promise<readonly string[]> {
    return ((await this.#control.call(key, command, key)) as Buffer[]).map(String)
  }

  #write(filter: string, operation: Operation, done: SharedDone): void {
    const { publishes } = this.#writers.of(filter)
    publishes.write([operation], { queues: 0, bytes: 0 }, (error) => done(error))
  }

  #evaluate(script: Script, filter: string, args: readonly Argument[]): Promise<unknown> {
    return evaluate(this.#control, script, this.#keysOf(filter), args)
  }
}

/** The operation that appends to the queue of a shared subscription. */
export function sharedAppend(
  keys: Keys,
  { filter, node, hash }: SharedAppend,
  message: Buffer,
): Operation {
  return {
    keys: [keys.shared(filter), keys.sharedQueue(filter), keys.sharedMembers(filter)],
    words: ['G', { message }, node, hash],
  }
}
