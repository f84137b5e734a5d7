/**
 * The bus on Redis. Messages and words go to the inbox of each node that they name, so a node does no work
 * for what it has no use for; notices go over one channel of mqemitter-redis per node.
 *
 * In: `publish`, `tell`, `notify`. Out: handlers. Bounds: `pendingMessagesMax` and `pendingBytesMax` of
 * messages that Redis has not taken, and `timeoutMs` for one to be taken; at any of them `done` gets an error
 * and the publisher is not acknowledged. `inboxBytesMax` of what a node has not read: beyond it messages to
 * that node are dropped, and its `onGap` says so.
 */
import { randomUUID } from 'node:crypto'
import {
  keysWith,
  openPlace,
  startHeartbeat,
  type Keys,
  type OnBadValue,
  type Redis,
  type RedisSettings,
  type Servers,
} from '@breakwater/redis'
import type { Bus, Done, InboxLag, Lost, Notice, NodeSignal } from './bus.ts'
import { InboxReader } from './inbox-reader.ts'
import { loadInboxScripts } from './inbox-scripts.ts'
import { InboxWriter, type DropReason } from './inbox-writer.ts'
import type { Message } from './message.ts'
import { NoticeBoard } from './notice-board.ts'
import type { SharedMessage } from './shared-message.ts'

export interface RedisBusOptions {
  readonly timeoutMs: number
  readonly pendingMessagesMax?: number
  readonly pendingBytesMax?: number
  /** The same for every node of a cluster: the sender applies it. */
  readonly inboxBytesMax?: number
  /** Faults that nobody awaits: a connection that dropped, a frame of a newer version. */
  readonly onFault: (error: Error) => void
  /** A frame of messages was appended to, or came from, an inbox; or one came that cannot be read. */
  readonly onFrame?: (what: 'in' | 'out' | 'unreadable') => void
  /** Messages that one target did not get, and nobody else will tell of them. */
  readonly onDropped?: (reason: DropReason, messages: number) => void
  /** What lies in Redis and cannot be read is left out, and told. */
  readonly onBadValue?: OnBadValue
}

interface Connections {
  readonly sender: Servers
  readonly subscriber: Redis
  readonly reader: Redis
  /** All of them. */
  readonly stack: AsyncDisposableStack
}

const PENDING_MESSAGES_MAX = 250_000
const PENDING_BYTES_MAX = 64 * 1_048_576
const INBOX_BYTES_MAX = 64 * 1_048_576
const CLOSE_TIMEOUT_MS = 800

/** @throws {Error} one line when Redis cannot be reached */
export async function createRedisBus(
  settings: RedisSettings,
  options: RedisBusOptions,
): Promise<Bus> {
  const { timeoutMs } = options
  const keys = keysWith(settings.prefix)
  const nodeId = randomUUID()
  await using stack = new AsyncDisposableStack()
  const own = (redis: Redis): Redis => stack.adopt(redis, () => redis.disconnect())
  const place = stack.use(await openPlace(settings))
  const sender = stack.use(await place.servers('data', { heartbeatMs: timeoutMs }))
  sender.onFault(options.onFault)
  const subscriber = own(await place.connection('subscriber', keys.notices(nodeId)))
  const reader = own(await place.connection('data', keys.inbox(nodeId)))
  // The errors of the subscriber reach `onFault` through the notices.
  reader.on('error', options.onFault)
  await Promise.all(sender.all.map(loadInboxScripts))
  const connections = { sender, subscriber, reader, stack: stack.move() }
  const bus = new RedisBus(nodeId, connections, keys, options)
  try {
    await bus.open()
    return bus
  } catch (error) {
    await bus[Symbol.asyncDispose]()
    throw error
  }
}

class RedisBus implements Bus {
  readonly nodeId: string
  readonly clustered = true
  readonly #connections: Connections
  readonly #options: RedisBusOptions
  readonly #inboxKeys: readonly [inbox: string, bytes: string]
  readonly #writer: InboxWriter
  readonly #reader: InboxReader
  readonly #board: NoticeBoard
  readonly #heartbeat: Disposable
  #closed = false
  #messageHandler: ((message: Message) => void) | undefined
  #sharedHandler: ((shared: SharedMessage) => void) | undefined
  #signalHandler: ((from: string, signal: NodeSignal) => void) | undefined
  #noticeHandler: ((from: string, notice: Notice) => void) | undefined
  #gapHandler: ((why: string) => void) | undefined
  #resyncHandler: (() => void) | undefined

  constructor(nodeId: string, connections: Connections, keys: Keys, options: RedisBusOptions) {
    const { sender, subscriber, reader } = connections
    this.nodeId = nodeId
    const { timeoutMs, onFault, onFrame, onDropped } = options
    // Who has no ear for them is told as of other faults.
    const { onBadValue = ({ cause, why }) => onFault(cause ?? new Error(why)) } = options
    const inboxKeys = (id: string) => [keys.inbox(id), keys.inboxBytes(id)] as const
    this.#connections = connections
    this.#options = options
    this.#inboxKeys = inboxKeys(this.nodeId)
    this.#board = new NoticeBoard({
      sender,
      subscriber,
      channelOf: (id) => keys.notices(id),
      nodeId: this.nodeId,
      timeoutMs,
      onNotice: (from, notice) => this.#hand(() => this.#noticeHandler?.(from, notice)),
      onResync: () => this.#hand(() => this.#resyncHandler?.()),
      onFault,
      onBadValue,
    })
    this.#writer = new InboxWriter({
      servers: sender,
      nodeId: this.nodeId,
      inboxKeys,
      inboxBytesMax: options.inboxBytesMax ?? INBOX_BYTES_MAX,
      timeoutMs,
      itemsMax: options.pendingMessagesMax ?? PENDING_MESSAGES_MAX,
      bytesMax: options.pendingBytesMax ?? PENDING_BYTES_MAX,
      onFault,
      onFrame: () => onFrame?.('out'),
      onDropped: (reason, messages) => onDropped?.(reason, messages),
    })
    this.#reader = new InboxReader({
      redis: reader,
      sender,
      inboxKeys: this.#inboxKeys,
      timeoutMs,
      onMessage: (message) => this.#hand(() => this.#messageHandler?.(message)),
      onShared: (shared) => this.#hand(() => this.#sharedHandler?.(shared)),
      onSignal: (from, signal) => this.#hand(() => this.#signalHandler?.(from, signal)),
      onGap: (why) => this.#hand(() => this.#gapHandler?.(why)),
      onFault,
      onFrame: () => onFrame?.('in'),
      onUnreadable: () => onFrame?.('unreadable'),
      onBadValue,
    })
    this.#heartbeat = startHeartbeat(subscriber, timeoutMs)
  }

  async open(): Promise<void> {
    await this.#board.open()
    await this.#reader.open()
  }

  get congested(): boolean {
    return this.#writer.congested
  }

  publish(message: Message, targets: readonly string[], done: Done): void {
    this.#writer.publish(message, message.bytes, targets, done)
  }

  publishShared(shared: SharedMessage, target: string, done: Done): void {
    this.#writer.publish(shared, shared.bytes, [target], done)
  }

  post(message: Message, targets: readonly string[], lost: Lost): void {
    this.#writer.post(message, targets, lost)
  }

  whenClear(callback: () => void): void {
    this.#writer.whenClear(callback)
  }

  tell(target: string, signal: NodeSignal): void {
    this.#writer.tell(target, signal)
  }

  notify(target: string, notice: Notice): Promise<boolean> {
    return this.#board.post(target, notice)
  }

  lag(): Promise<InboxLag | undefined> {
    return this.#reader.lag()
  }

  onMessage(handler: (message: Message) => void): void {
    this.#messageHandler = handler
  }

  onShared(handler: (shared: SharedMessage) => void): void {
    this.#sharedHandler = handler
  }

  onSignal(handler: (from: string, signal: NodeSignal) => void): void {
    this.#signalHandler = handler
  }

  onNotice(handler: (from: string, notice: Notice) => void): void {
    this.#noticeHandler = handler
  }

  onGap(handler: (why: string) => void): void {
    this.#gapHandler = handler
  }

  onResync(handler: () => void): void {
    this.#resyncHandler = handler
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    const { sender, stack } = this.#connections
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const impatience = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    if (sender.ready) await Promise.race([this.#leave(), late])
    clearTimeout(impatience)
    this.#closed = true
    this.#writer.close()
    this.#board.close()
    this.#heartbeat[Symbol.dispose]()
    await stack.disposeAsync()
    await this.#reader.close()
  }

  async #leave(): Promise<void> {
    await Promise.all([this.#writer.settled(), this.#board.settled()])
    this.#closed = true
    this.#reader.stop()
    // What fails here ends by itself, see the lifetime of an inbox.
    const [inbox] = this.#inboxKeys
    await this.#connections.sender.call(inbox, 'unlink', ...this.#inboxKeys).catch(() => undefined)
  }

  /** One message that its handler cannot deal with costs the others of the frame nothing. */
  #hand(give: () => void): void {
    if (this.#closed) return
    try {
      give()
    } catch (error) {
      this.#options.onFault(error as Error)
    }
  }
}
