/**
 * Notices from node to node, over one channel per node. In: `post`, which says whether anybody listens there.
 * Out: `onNotice`, and `onResync` after a time in which some may have been missed. Those of one event-loop turn
 * to one node travel together.
 *
 * Redis forgets a subscription with its connection: the channel of a process that was killed has no listener at
 * once, long before its lease is over. After an outage of Redis that says nothing for a moment: others may be
 * back a little later than this node.
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  TurnQueue,
  type OnBadValue,
  type Outcome,
  type Redis,
  type Servers,
} from '@breakwater/redis'
import type { Notice } from './bus.ts'
import { RedisChannels } from './redis-channels.ts'
import { SenderLog } from './sender-log.ts'

export interface NoticeBoardOptions {
  readonly sender: Servers
  readonly subscriber: Redis
  readonly channelOf: (nodeId: string) => string
  readonly nodeId: string
  readonly timeoutMs: number
  readonly onNotice: (from: string, notice: Notice) => void
  readonly onResync: () => void
  readonly onFault: (error: Error) => void
  readonly onBadValue: OnBadValue
}

const PENDING_NOTICES_MAX = 100_000
const PENDING_BYTES_MAX = 64 * 1_048_576
/** Far below the 32 MiB at which Redis, as it is delivered, throws a subscriber out. */
const FRAME_BYTES_MAX = 1_048_576
const FRAME_ITEMS_MAX = 1_000
/** Connections are made again within so long of each other. */
const OTHERS_BACK_MS = 1_500
const ASK_AGAIN_MS = 200

interface Post {
  readonly target: string
  readonly notice: Notice
}

/** A notice and its number in the life of its sender. */
type Numbered = readonly [number: number, notice: Notice]

export class NoticeBoard {
  readonly #options: NoticeBoardOptions
  readonly #channels: RedisChannels
  readonly #queue: TurnQueue<Post>
  readonly #senders = new SenderLog()
  #backAt = -Infinity
  #closed = false

  constructor(options: NoticeBoardOptions) {
    const { sender, subscriber, timeoutMs, onFault } = options
    this.#options = options
    const key = options.channelOf(options.nodeId)
    this.#channels = new RedisChannels(sender, subscriber, {
      onFault,
      onUnreadable: (cause) =>
        options.onBadValue({ kind: 'notices', key, why: cause.message, cause }),
    })
    this.#queue = new TurnQueue<Post>({
      send: (posts, first) => this.#send(posts, first),
      cut: () => sender.cut(),
      onFault,
      timeoutMs,
      batchItemsMax: FRAME_ITEMS_MAX,
      batchBytesMax: FRAME_BYTES_MAX,
      itemsMax: PENDING_NOTICES_MAX,
      bytesMax: PENDING_BYTES_MAX,
    })
  }

  async open(): Promise<void> {
    const { channelOf, nodeId, subscriber, onNotice } = this.#options
    await this.#channels.subscribe(channelOf(nodeId), ({ from, payload }) => {
      for (const [number, notice] of noticesIn(payload.toString()))
        if (this.#senders.isNew(from, number)) onNotice(from, notice)
    })
    // The first subscription is up; each later `ready` follows a time in which something may be missed.
    subscriber.on('ready', () => {
      this.#backAt = performance.now()
      void this.#resync()
    })
  }

  /**
   * Resolves with whether the target listens.
   *
   * @throws {Error} Redis did not take it in time, too much waits, or the board is closed
   */
  async post(target: string, notice: Notice): Promise<boolean> {
    for (;;) {
      if (await this.#push({ target, notice })) return true
      if (this.#closed || this.#othersAreBack) return false
      await delay(ASK_AGAIN_MS)
    }
  }

  get #othersAreBack(): boolean {
    return (
      this.#options.subscriber.status === 'ready' &&
      performance.now() - this.#backAt > OTHERS_BACK_MS
    )
  }

  #push(post: Post): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#queue.push(post, bytesOf(post.notice), (error, listens) =>
        error === undefined ? resolve(listens as boolean) : reject(error),
      )
    })
  }

  /** Resolves when everything that was posted before has its answer. */
  settled(): Promise<void> {
    return this.#queue.settled()
  }

  close(): void {
    this.#closed = true
    this.#queue.close()
  }

  async #send(posts: readonly Post[], first: number): Promise<readonly Outcome[]> {
    const { channelOf, nodeId } = this.#options
    const frames = new Map<string, Numbered[]>()
    for (const [index, { target, notice }] of posts.entries()) {
      const frame = frames.get(target)
      if (frame === undefined) frames.set(target, [[first + index, notice]])
      else frame.push([first + index, notice])
    }
    const sent = [...frames].map(([target, notices]) =>
      this.#channels.publish(channelOf(target), {
        from: nodeId,
        payload: Buffer.from(JSON.stringify(notices)),
      }),
    )
    const targets = [...frames.keys()]
    const [counts] = await Promise.all([this.#channels.listeners(targets.map(channelOf)), ...sent])
    const listens = new Map(targets.map((target, index) => [target, (counts[index] ?? 0) > 0]))
    return posts.map(({ target }) => ({ result: listens.get(target) }))
  }

  async #resync(): Promise<void> {
    const { subscriber, onFault, onResync } = this.#options
    try {
      await this.#channels.resubscribe()
    } catch (error) {
      if (this.#closed) return
      onFault(error as Error)
      // Not deaf for ever: the next connection tries again.
      subscriber.disconnect(true)
      return
    }
    if (!this.#closed) onResync()
  }
}

/** @throws {Error} what came is none */
function noticesIn(text: string): readonly Numbered[] {
  const found: unknown = JSON.parse(text)
  if (!Array.isArray(found) || !found.every(isNumbered))
    throw new Error('received bytes that are not a notice')
  return found
}

function isNumbered(value: unknown): value is Numbered {
  if (!Array.isArray(value)) return false
  const [number, notice] = value as readonly unknown[]
  return (
    Number.isSafeInteger(number) &&
    typeof notice === 'object' &&
    notice !== null &&
    typeof (notice as { kind?: unknown }).kind === 'string'
  )
}

function bytesOf(notice: Notice): number {
  if (notice.kind !== 'revocation') return notice.clientId.length
  return notice.id.length + (notice.text?.length ?? 0)
}
