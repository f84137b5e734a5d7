import type { Message } from '@breakwater/bus'
import { MemorySession } from './memory-session.ts'
import type {
  SharedAppend,
  SharedDone,
  SharedMemberId,
  SharedQueued,
  SharedQueues,
  SharedRead,
} from '../shared-queues.ts'
import type { ShareBounds } from '../share-bounds.ts'
import type { QueueBounds } from '../store.ts'

interface MemoryGroup {
  readonly members: Set<SharedMemberId>
  readonly queue: MemorySession
  /** Of the queued messages, by position. */
  readonly entries: Map<number, { readonly node: string; readonly hash: number }>
  last: number
}

/** Queues of shared subscriptions in memory. */
export class MemoryShared implements SharedQueues {
  readonly #bounds: QueueBounds
  readonly #groups = new Map<string, MemoryGroup>()
  readonly #shares: ShareBounds
  /** By account, as in Redis: what has ended leaves when it is looked for. */
  readonly #entered = new Map<string, Set<string>>()
  readonly #rooms = new Map<string, number>()
  /** The highest position of all queues that have ended: no position comes again. */
  #ended = 0

  constructor(bounds: QueueBounds, shares: ShareBounds) {
    this.#bounds = bounds
    this.#shares = shares
  }

  async enter(filter: string, account: string): Promise<boolean> {
    const { sharedGroupsPerUserMax, queueBytesPerUserMax } = this.#shares
    const entered = this.#entered.get(account) ?? new Set()
    if (!entered.has(filter) && entered.size >= sharedGroupsPerUserMax)
      for (const other of entered)
        if (!this.#groups.has(other) && !this.#rooms.has(other)) entered.delete(other)
    if (!entered.has(filter) && entered.size >= sharedGroupsPerUserMax) return false
    entered.add(filter)
    this.#entered.set(account, entered)
    this.#rooms.set(filter, Math.floor(queueBytesPerUserMax / entered.size))
    return true
  }

  async left(filter: string, account: string): Promise<void> {
    const entered = this.#entered.get(account)
    if (entered === undefined || this.#groups.has(filter)) return
    entered.delete(filter)
    if (entered.size === 0) this.#entered.delete(account)
  }

  append(
    { filter, node, hash }: SharedAppend,
    message: Message,
  ): { position: number; dropped: number } {
    const group = this.#groups.get(filter)
    if (group === undefined) return { position: 0, dropped: 0 }
    const appended = group.queue.append(message, this.#bounds)
    if (appended.position <= 0) return appended
    group.last = appended.position
    group.entries.set(appended.position, {
      node: group.members.has(`n${node}`) ? node : '',
      hash,
    })
    for (const position of group.entries.keys()) {
      if (group.queue.has(position)) break
      group.entries.delete(position)
    }
    return appended
  }

  isFull(filter: string, message: Message): boolean {
    return this.#groups.get(filter)?.queue.fullFor(message, this.#bounds) === true
  }

  join(filter: string, member: SharedMemberId, done: SharedDone): void {
    let group = this.#groups.get(filter)
    if (group === undefined) {
      group = {
        members: new Set(),
        queue: new MemorySession('', 0, this.#ended),
        entries: new Map(),
        last: this.#ended,
      }
      group.queue.room = this.#rooms.get(filter) ?? Infinity
      this.#groups.set(filter, group)
    }
    this.#rooms.delete(filter)
    group.members.add(member)
    done()
  }

  leave(filter: string, member: SharedMemberId, done: SharedDone): void {
    const group = this.#groups.get(filter)
    group?.members.delete(member)
    if (group?.members.size === 0) {
      this.#ended = Math.max(this.#ended, group.last)
      this.#groups.delete(filter)
    }
    done()
  }

  async claim(filter: string, node: string): Promise<number> {
    const group = this.#groups.get(filter)
    if (group?.members.has(`n${node}`) !== true) return 0
    for (const [position, entry] of group.entries)
      if (!group.members.has(`n${entry.node}`)) this.#move(group, position, node)
    return 0
  }

  async read(
    filter: string,
    node: string,
    fromPosition: number,
    messagesMax: number,
    bytesMax: number,
  ): Promise<SharedRead> {
    const group = this.#groups.get(filter)
    if (group === undefined) return { found: [], next: fromPosition, more: false }
    const found: SharedQueued[] = []
    for (const { position, message } of group.queue.read(fromPosition, messagesMax, bytesMax)) {
      const entry = group.entries.get(position)
      if (entry?.node === node) found.push({ position, message, hash: entry.hash })
    }
    const next = (found.at(-1)?.position ?? fromPosition - 1) + 1
    const more = found.length > 0
    return { found, next: more ? next : Math.max(next, group.last + 1), more }
  }

  settle(filter: string, position: number, _bytes: number, done: SharedDone): void {
    const group = this.#groups.get(filter)
    group?.queue.delete(position)
    group?.entries.delete(position)
    done()
  }

  async settled(): Promise<void> {
    // Everything happens at once.
  }

  handOn(filter: string, positions: readonly number[], done: SharedDone): void {
    const group = this.#groups.get(filter)
    if (group !== undefined) for (const position of positions) this.#move(group, position, '')
    done()
  }

  clear(): void {
    this.#groups.clear()
  }

  #move(group: MemoryGroup, position: number, node: string): void {
    const [queued] = group.queue.read(position, 1, 1)
    const entry = group.entries.get(position)
    if (entry === undefined || queued?.position !== position) return
    group.queue.delete(position)
    group.entries.delete(position)
    const { position: moved } = group.queue.append(queued.message, this.#bounds)
    group.last = moved
    group.entries.set(moved, { node, hash: entry.hash })
  }
}
