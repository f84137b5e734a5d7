/**
 * Removes from the inbox what was read, one request at a time; nobody waits for it. What had no answer is
 * said again, in words that may be heard twice.
 */
import { isRelocation, type Servers } from '@breakwater/redis'
import { INBOX_TRIM } from './inbox-scripts.ts'
import { idAfter } from './stream-id.ts'

export interface InboxTrimmerOptions {
  readonly servers: Servers
  readonly inboxKeys: readonly [inbox: string, bytes: string]
  /** Senders found the inbox full since the last time. */
  readonly onRefused: () => void
  readonly onFault: (error: Error) => void
}

export class InboxTrimmer {
  readonly #options: InboxTrimmerOptions
  #generation = 0
  #last = '0-0'
  #read = 0
  #trimmed = 0
  #refused = 0
  #asking = false
  #closed = false

  constructor(options: InboxTrimmerOptions) {
    this.#options = options
  }

  /** Bytes that were read since the inbox was made. */
  get bytesRead(): number {
    return this.#read
  }

  /** Bytes that were read and are still there. */
  read(id: string, bytes: number): number {
    this.#last = id
    this.#read += bytes
    return this.#read - this.#trimmed
  }

  trim(): void {
    if (this.#asking || this.#closed || this.#read === this.#trimmed) return
    const { servers, inboxKeys } = this.#options
    if (servers.of(inboxKeys[0])?.status === 'ready') void this.#ask()
  }

  /** The inbox is a new one, and empty. */
  reset(generation: number): void {
    this.#generation = generation
    this.#read = 0
    this.#trimmed = 0
    this.#refused = 0
  }

  close(): void {
    this.#closed = true
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { servers, inboxKeys, onRefused, onFault } = this.#options
    const generation = this.#generation
    const read = this.#read
    let again = false
    this.#asking = true
    try {
      const args = [generation, idAfter(this.#last), read]
      const [inbox, bytes] = inboxKeys
      const call = ['evalsha', INBOX_TRIM.sha, 2, inbox, bytes, ...args] as const
      const refused = Number(await servers.call(inbox, ...call))
      if (generation === this.#generation && refused >= 0 && !this.#closed) {
        this.#trimmed = read
        if (refused > this.#refused) onRefused()
        this.#refused = refused
        again = true
      }
    } catch (error) {
      // Asked again when the reader has read, or has found nothing.
      const { name, message } = error as Error
      const passes = message.startsWith('NOSCRIPT') || isRelocation(error as Error)
      if (name === 'ReplyError' && !passes) onFault(error as Error)
    }
    this.#asking = false
    if (again) this.trim()
  }
}
