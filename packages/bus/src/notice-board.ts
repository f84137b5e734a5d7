/**
 * Notices to every node, over one channel. In: `post`. Out: `onNotice`, and `onResync` after a time in which
 * some may have been missed. Those of one event-loop turn travel together.
 */
import { TurnQueue, type Outcome, type Redis } from '@breakwater/redis'
import type { Notice } from './bus.ts'
import { RedisChannels } from './redis-channels.ts'
import { SenderLog } from './sender-log.ts'

export interface NoticeBoardOptions {
  readonly sender: Redis
  readonly subscriber: Redis
  readonly channel: string
  readonly nodeId: string
  readonly timeoutMs: number
  readonly onNotice: (notice: Notice) => void
  readonly onResync: () => void
  readonly onFault: (error: Error) => void
}

const PENDING_NOTICES_MAX = 100_000
const PENDING_BYTES_MAX = 64 * 1_048_576
/** Far below the 32 MiB at which Redis, as it is delivered, throws a subscriber out. */
const FRAME_BYTES_MAX = 1_048_576
const FRAME_ITEMS_MAX = 1_000
const TAKEN: Outcome = {}

export class NoticeBoard {
  readonly #options: NoticeBoardOptions
  readonly #channels: RedisChannels
  readonly #queue: TurnQueue<string>
  readonly #senders = new SenderLog()
  #closed = false

  constructor(options: NoticeBoardOptions) {
    const { sender, subscriber, channel, nodeId, timeoutMs, onFault } = options
    this.#options = options
    this.#channels = new RedisChannels(sender, subscriber, onFault)
    this.#queue = new TurnQueue<string>({
      send: async (notices, first) => {
        const payload = Buffer.from(`[${notices.join(',')}]`)
        await this.#channels.publish(channel, { from: nodeId, first, payload })
        return notices.map(() => TAKEN)
      },
      cut: () => sender.disconnect(true),
      onFault,
      timeoutMs,
      batchItemsMax: FRAME_ITEMS_MAX,
      batchBytesMax: FRAME_BYTES_MAX,
      itemsMax: PENDING_NOTICES_MAX,
      bytesMax: PENDING_BYTES_MAX,
    })
  }

  async open(): Promise<void> {
    const { channel, nodeId, subscriber, onNotice } = this.#options
    await this.#channels.subscribe(channel, ({ from, first, payload }) => {
      if (from === nodeId) return
      for (const [index, notice] of (JSON.parse(payload.toString()) as Notice[]).entries())
        if (this.#senders.isNew(from, first + index)) onNotice(notice)
    })
    // The first subscription is up; each later `ready` follows a time in which something may be missed.
    subscriber.on('ready', () => void this.#resync())
  }

  /** @throws {Error} Redis did not take it in time, too much waits, or the board is closed */
  async post(notice: Notice): Promise<void> {
    const text = JSON.stringify(notice)
    await new Promise<void>((resolve, reject) => {
      this.#queue.push(text, text.length, (error) =>
        error === undefined ? resolve() : reject(error),
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
