/**
 * The ticket key that all nodes have in common, made and replaced by themselves.
 *
 * In: what lies in Redis, wrapped: the key in use, and for a while the next one, each with the time from which it
 * is used. Whoever looks first when the next one is due puts it there, LEAD_PERIODS looks before its time, so that
 * every node has it when it is used. Out: each key to the servers when its time comes.
 * Bounds: one look a minute, or ten per rotation where that is more often, two keys in Redis, one in force. Where Redis does not
 * answer, or what lies there was wrapped under another key, the key of before stays in use; at the start that is
 * one that this node has made for itself. Nobody who cannot read the newest key replaces it, unless it is overdue.
 */
import { randomBytes } from 'node:crypto'
import type { Servers } from '@breakwater/redis'
import type { WrapKey } from './wrap-key.ts'

/** Name, HMAC key and AES key, 16 bytes each. */
const TICKET_KEY_BYTES = 48
const PERIOD_MAX_MS = 60_000
const PERIODS_PER_ROTATION = 10
const LEAD_PERIODS = 2

/**
 * Key: the hash. Arguments: rotation (ms), lead (ms), a key that may become the next one, whether the caller can
 * read the newest one. Returns the time, then the keys that are in use or will be: `from`, text, `from`, …
 */
const LOOK = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rotation, lead = tonumber(ARGV[1]), tonumber(ARGV[2])
local newest, current = 0, 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local from = tonumber(field)
  if from > newest then newest = from end
  if from <= now and from > current then current = from end
end
local dueAt = newest + rotation - lead
if ARGV[4] == '0' then dueAt = newest + rotation + lead end
if newest == 0 or now >= dueAt then
  local from = now
  if newest > 0 then from = math.max(now + lead, newest + rotation) end
  redis.call('HSET', KEYS[1], string.format('%.0f', from), ARGV[3])
end
local found = {string.format('%.0f', now)}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if tonumber(field) < current then redis.call('HDEL', KEYS[1], field)
  else
    table.insert(found, field)
    table.insert(found, redis.call('HGET', KEYS[1], field))
  end
end
return found`

interface WrappedKey {
  /** By the clock of Redis, ms since the epoch. */
  readonly from: number
  readonly text: string
}

/** What happens to the key, for log lines and metrics. */
interface TicketKeyEvents {
  ticketKeyInUse(from: Date): void
  /** Told once per key that cannot be read. */
  ticketKeyUnreadable(): void
  storeFailed(what: string, error: Error): void
}

export interface SharedTicketKeyOptions {
  readonly servers: Servers
  /** The connections. */
  readonly stack: DisposableStack
  /** Name of the hash. */
  readonly place: string
  /** The newest first; what lies in Redis may have been wrapped under one of before. */
  readonly wrapKeys: () => readonly [WrapKey, ...WrapKey[]]
  readonly rotationMs: number
  readonly events: TicketKeyEvents
}

/** Who encrypts tickets with the key. */
export interface TicketServer {
  useTicketKey(key: Buffer): void
}

export class SharedTicketKey implements Disposable {
  readonly #options: SharedTicketKeyOptions
  readonly #periodMs: number
  readonly #servers: TicketServer[] = []
  #key: Buffer | undefined
  #text = ''
  #unreadable = ''
  #readsNewest = false
  #timer: NodeJS.Timeout | undefined
  #faultSaid = false
  #looking = false
  #closed = false

  constructor(options: SharedTicketKeyOptions) {
    this.#options = options
    this.#periodMs = Math.min(PERIOD_MAX_MS, options.rotationMs / PERIODS_PER_ROTATION)
  }

  /** Looks for the first time; resolves also where there is no key to be had. */
  async start(): Promise<void> {
    await this.#look()
  }

  /** The wrap key is another one: what could not be read may be now. */
  lookAgain(): void {
    clearTimeout(this.#timer)
    if (!this.#looking) void this.#look()
  }

  /** A server that is to use the key, now and from each change on. */
  serve(server: TicketServer): void {
    this.#servers.push(server)
    if (this.#key !== undefined) server.useTicketKey(this.#key)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#options.stack.dispose()
  }

  async #look(): Promise<void> {
    let nextMs = this.#periodMs
    this.#looking = true
    try {
      nextMs = Math.min(nextMs, this.#take(...(await this.#read())))
      this.#faultSaid = false
    } catch (error) {
      if (!this.#faultSaid && !this.#closed)
        this.#options.events.storeFailed('ticket key', error as Error)
      this.#faultSaid = true
    }
    this.#looking = false
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), nextMs).unref()
  }

  async #read(): Promise<[now: number, keys: readonly WrappedKey[]]> {
    const { servers, place, wrapKeys, rotationMs } = this.#options
    const answer = await servers.call(
      place,
      'eval',
      LOOK,
      1,
      place,
      rotationMs,
      this.#periodMs * LEAD_PERIODS,
      wrapKeys()[0].wrap(randomBytes(TICKET_KEY_BYTES), place),
      this.#readsNewest ? 1 : 0,
    )
    const [now, ...found] = (answer as Buffer[]).map(String)
    const keys: WrappedKey[] = []
    for (let index = 0; index < found.length; index += 2)
      keys.push({ from: Number(found[index]), text: found[index + 1] as string })
    return [Number(now), keys.toSorted((one, other) => one.from - other.from)]
  }

  /** Uses the key whose time has come; returns ms until that of the next one. */
  #take(now: number, keys: readonly WrappedKey[]): number {
    const { events } = this.#options
    const current = keys.findLast(({ from }) => from <= now)
    const next = keys.find(({ from }) => from > now)
    const newest = next ?? current
    this.#readsNewest = newest !== undefined && this.#keyOf(newest) !== undefined
    if (current !== undefined && current.text !== this.#text) {
      const key = this.#keyOf(current)
      if (key !== undefined) {
        this.#text = current.text
        this.#key = key
        for (const server of this.#servers) server.useTicketKey(key)
        events.ticketKeyInUse(new Date(current.from))
      } else if (current.text !== this.#unreadable) {
        this.#unreadable = current.text
        events.ticketKeyUnreadable()
      }
    }
    return next === undefined ? Infinity : Math.max(1, next.from - now)
  }

  #keyOf({ text }: WrappedKey): Buffer | undefined {
    const { place, wrapKeys } = this.#options
    for (const wrapKey of wrapKeys()) {
      const key = wrapKey.unwrap(text, place)
      if (key?.length === TICKET_KEY_BYTES) return key
    }
    return undefined
  }
}
