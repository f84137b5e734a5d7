import { randomUUID } from 'node:crypto'
import type { Bus, Done, Notice } from './bus.ts'
import type { Message } from './message.ts'

/** The embedded default: nodes of one process, or the only node. */
export class MemoryBusHub {
  readonly #members = new Set<MemoryBus>()

  join(): Bus {
    const bus = new MemoryBus(this.#members)
    this.#members.add(bus)
    return bus
  }
}

class MemoryBus implements Bus {
  readonly nodeId: string = randomUUID()
  readonly #members: Set<MemoryBus>
  #messageHandler: ((message: Message) => void) | undefined
  #noticeHandler: ((notice: Notice) => void) | undefined

  constructor(members: Set<MemoryBus>) {
    this.#members = members
  }

  get clustered(): boolean {
    return this.#members.size > 1
  }

  publish(message: Message, done: Done): void {
    if (this.#closed) {
      done(new Error('the bus is closed'))
      return
    }
    this.#tellOthers((member) => member.#messageHandler?.(message))
    done()
  }

  async notify(notice: Notice): Promise<void> {
    if (this.#closed) throw new Error('the bus is closed')
    this.#tellOthers((member) => member.#noticeHandler?.(notice))
  }

  onMessage(handler: (message: Message) => void): void {
    this.#messageHandler = handler
  }

  onNotice(handler: (notice: Notice) => void): void {
    this.#noticeHandler = handler
  }

  onResync(): void {
    // Nothing is ever missed inside one process.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#members.delete(this)
  }

  get #closed(): boolean {
    return !this.#members.has(this)
  }

  #tellOthers(tell: (member: MemoryBus) => void): void {
    for (const member of this.#members) {
      if (member === this) continue
      setImmediate(() => {
        if (!member.#closed) tell(member)
      })
    }
  }
}
