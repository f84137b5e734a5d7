/**
 * Reads the inbox of this node, which it makes, keeps alive and alone trims.
 *
 * In: frames of other nodes. Out: their messages and words, each once and in the order of its sender; `onGap`
 * when some were lost for good. A connection that is lost loses nothing: the inbox is read on from the last id,
 * after a look whether it is still the same one. Bound: what one XREAD brings.
 */
import { once } from 'node:events'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import {
  isBadValue,
  isRelocation,
  kindOfKey,
  type OnBadValue,
  type Redis,
  type Servers,
} from '@breakwater/redis'
import type { InboxLag, NodeSignal } from './bus.ts'
import { decodeFrame, type InboxFrame } from './frame.ts'
import { InboxTrimmer } from './inbox-trimmer.ts'
import { INBOX_CREATE, INBOX_LAG } from './inbox-scripts.ts'
import { Message } from './message.ts'
import { SharedMessage } from './shared-message.ts'
import { SenderLog } from './sender-log.ts'
import { compareIds } from './stream-id.ts'

export interface InboxReaderOptions {
  /** Of the reader alone: it blocks. */
  readonly redis: Redis
  /** To trim and to ask by, while the reader blocks. */
  readonly sender: Servers
  readonly inboxKeys: readonly [inbox: string, bytes: string]
  readonly timeoutMs: number
  readonly onMessage: (message: Message) => void
  readonly onShared: (shared: SharedMessage) => void
  readonly onSignal: (from: string, word: NodeSignal) => void
  readonly onGap: (why: string) => void
  readonly onFault: (error: Error) => void
  /** A frame brought messages that were new; one of words alone does not count. */
  readonly onFrame: () => void
  /** A frame came of a version that is not known here, or none; a gap follows. */
  readonly onUnreadable: () => void
  readonly onBadValue: OnBadValue
}

type Entry = readonly [id: Buffer, fields: readonly [name: Buffer, value: Buffer]]

const BLOCK_MS = 1_000
const ENTRIES_MAX = 100
const LIFE_MS = 600_000
const REFRESH_MS = 60_000
/** Of a time in ms and a number: of one that is far from now there are more digits. */
const ID_LENGTH_MAX = 24
const RETRY_MS = 100
const TRIM_BYTES = 1_048_576
const FRAME = 'f'.charCodeAt(0)

export class InboxReader {
  readonly #options: InboxReaderOptions
  readonly #trimmer: InboxTrimmer
  readonly #stop = new AbortController()
  /** By sequence of each sender. */
  readonly #heard = new SenderLog()
  #running: Promise<void> = Promise.resolve()
  #generation = 0
  #last = '0-0'
  #unsure = false
  #gone: string | undefined
  #refreshAt = 0

  constructor(options: InboxReaderOptions) {
    this.#options = options
    const { sender, inboxKeys, onGap, onFault } = options
    this.#trimmer = new InboxTrimmer({
      servers: sender,
      inboxKeys,
      onRefused: () => onGap('the inbox was full'),
      onFault,
    })
  }

  /** @throws {Error} Redis did not make the inbox */
  async open(): Promise<void> {
    await this.#create()
    this.#running = this.#run()
  }

  /**
   * What was appended and not handed out, as of the call; undefined where the inbox is gone or another.
   *
   * @throws {Error} Redis did not answer
   */
  async lag(): Promise<InboxLag | undefined> {
    const { sender, inboxKeys } = this.#options
    const read = this.#trimmer.bytesRead
    const [inbox, bytes] = inboxKeys
    const words = [INBOX_LAG.sha, 2, inbox, bytes, this.#generation, this.#last]
    const answer = await sender.call(inbox, 'evalsha', ...words)
    if (answer === null) return undefined
    const [appended, ageUs] = answer as [number, number]
    // What Redis lost of the inbox was appended and cannot be read: it does not wait.
    if (ageUs < 0) return { bytes: 0, seconds: 0 }
    return { bytes: Math.max(0, appended - read), seconds: ageUs / 1_000_000 }
  }

  /** Hands out nothing more, and leaves the inbox alone. */
  stop(): void {
    this.#stop.abort()
    this.#trimmer.close()
  }

  /** The connection has to be closed before: the reader may be waiting for its answer. */
  async close(): Promise<void> {
    this.stop()
    await this.#running
  }

  get #closed(): boolean {
    return this.#stop.signal.aborted
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#connected()
        if (this.#unsure || performance.now() >= this.#refreshAt) await this.#verify()
        const entries = await this.#read()
        if (entries.length === 0) this.#unsure = true
        for (const entry of entries) {
          this.#take(entry)
          // A long backlog must not stop everything else.
          await nextTurn()
          if (this.#closed) return
        }
        this.#trimmer.trim()
      } catch (error) {
        if (this.#closed) return
        this.#unsure = true
        // The loss of a connection is told by the connection.
        const { name, message } = error as Error
        if (isBadValue(error as Error)) this.#isBad(message)
        if (name === 'ReplyError' && !isRelocation(error as Error))
          this.#options.onFault(error as Error)
        await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      }
    }
  }

  /** It is made anew. */
  #isBad(why: string): void {
    const { inboxKeys, onBadValue } = this.#options
    for (const key of inboxKeys) onBadValue({ kind: kindOfKey(key).kind, key, why })
    this.#gone ??= 'the inbox could not be read'
  }

  async #connected(): Promise<void> {
    const { redis } = this.#options
    if (redis.status !== 'ready') await once(redis, 'ready', { signal: this.#stop.signal })
  }

  async #read(): Promise<readonly Entry[]> {
    const { redis, inboxKeys } = this.#options
    const streams = await this.#answer(
      redis.xreadBuffer(
        'COUNT',
        ENTRIES_MAX,
        'BLOCK',
        BLOCK_MS,
        'STREAMS',
        inboxKeys[0],
        this.#last,
      ),
    )
    return (streams?.[0]?.[1] ?? []) as unknown as readonly Entry[]
  }

  #take([id, [name, value]]: Entry): void {
    this.#last = id.toString('latin1')
    const isFrame = name[0] === FRAME
    if (isFrame) this.#open(value)
    if (this.#trimmer.read(this.#last, isFrame ? value.length : 0) > TRIM_BYTES)
      this.#trimmer.trim()
  }

  #open(bytes: Buffer): void {
    const { inboxKeys, onBadValue, onGap, onUnreadable } = this.#options
    let frame: InboxFrame
    try {
      frame = decodeFrame(bytes)
    } catch (error) {
      const [inbox] = inboxKeys
      onUnreadable()
      const cause = error as Error
      onBadValue({ kind: 'inbox', key: inbox, why: cause.message, cause })
      onGap('a frame could not be read')
      return
    }
    this.#hand(frame)
  }

  #hand({ from, sequence, generation, after, items }: InboxFrame): void {
    const { onFrame, onMessage, onShared, onSignal, onGap } = this.#options
    let messages = 0
    const sender = `${sequence} ${from}`
    let heard = this.#heard.lastOf(sender)
    // An earlier inbox took what is missed here, and its end has been told.
    if (after > heard && generation === this.#generation)
      onGap(`Redis lost what ${from} had appended`)
    for (const { number, content } of items) {
      if (number <= heard) continue
      heard = number
      if (content instanceof Message) {
        messages += 1
        onMessage(content)
      } else if (content instanceof SharedMessage) {
        messages += 1
        onShared(content)
      } else onSignal(from, content)
    }
    if (messages > 0) onFrame()
    this.#heard.heard(sender, heard)
  }

  /** After this the inbox is there, and is the one that was read before, or its loss has been told. */
  async #verify(): Promise<void> {
    this.#gone ??= await this.#lookForLoss()
    if (this.#gone !== undefined) {
      const why = this.#gone
      await this.#create()
      this.#gone = undefined
      this.#options.onGap(why)
    }
    this.#unsure = false
  }

  async #lookForLoss(): Promise<string | undefined> {
    const { redis, inboxKeys } = this.#options
    const [inbox, bytes] = inboxKeys
    const pipeline = redis.pipeline().call('xinfo', 'stream', inbox).hget(bytes, 'generation')
    const refresh = performance.now() >= this.#refreshAt
    if (refresh) for (const key of inboxKeys) pipeline.pexpire(key, LIFE_MS)
    const [info, generation] = (await this.#answer(pipeline.exec())) ?? []
    const [error, facts] = info ?? [new Error('no answer')]
    if (error !== null && error.message.includes('no such key')) return 'the inbox was gone'
    const failure = error ?? generation?.[0]
    if (failure !== null && failure !== undefined) throw failure
    if (generation?.[1] !== `${this.#generation}`) return 'the inbox was gone'
    // Behind such an id nothing can be appended.
    if (lastIdOf(facts as readonly unknown[]).length > ID_LENGTH_MAX) {
      this.#isBad('an id that nothing can come behind')
      return 'the inbox could not be read'
    }
    if (compareIds(lastIdOf(facts as readonly unknown[]), this.#last) < 0)
      return 'Redis lost the end of the inbox'
    if (refresh) this.#refreshAt = performance.now() + REFRESH_MS
    return undefined
  }

  async #create(): Promise<void> {
    const { redis, inboxKeys } = this.#options
    this.#generation += 1
    const made = redis.eval(
      INBOX_CREATE.source,
      inboxKeys.length,
      ...inboxKeys,
      this.#generation,
      LIFE_MS,
    )
    this.#last = (await this.#answer(made)) as string
    this.#trimmer.reset(this.#generation)
    this.#refreshAt = performance.now() + REFRESH_MS
  }

  /** A connection on which nothing comes any more is given up: it connects again by itself. */
  async #answer<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const { redis, timeoutMs } = this.#options
    const timer = setTimeout(() => redis.disconnect(true), BLOCK_MS + timeoutMs)
    try {
      return await answer
    } finally {
      clearTimeout(timer)
    }
  }
}

/** XINFO answers names and values in turn. */
function lastIdOf(facts: readonly unknown[]): string {
  return String(facts[facts.indexOf('last-generated-id') + 1])
}
