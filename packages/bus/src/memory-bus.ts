import { randomUUID } from 'node:crypto'
import type { Bus, Done, InboxLag, Lost, Notice, NodeSignal } from './bus.ts'
import type { Message } from './message.ts'
import type { SharedMessage } from './shared-message.ts'

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
  #sharedHandler: ((shared: SharedMessage) => void) | undefined
  #signalHandler: ((from: string, signal: NodeSignal) => void) | undefined
  #noticeHandler: ((from: string, notice: Notice) => void) | undefined

  constructor(members: Set<MemoryBus>) {
    this.#members = members
  }

  get clustered(): boolean {
    return this.#members.size > 1
  }

  readonly congested = false

  publish(message: Message, targets: readonly string[], done: Done): void {
    if (this.closed) {
      done(new Error('the bus is closed'))
      return
    }
    for (const member of this.#members)
      if (targets.includes(member.nodeId)) later(member, () => member.#messageHandler?.(message))
    done()
  }

  publishShared(shared: SharedMessage, target: string, done: Done): void {
    if (this.closed) {
      done(new Error('the bus is closed'))
      return
    }
    for (const member of this.#members)
      if (member.nodeId === target) later(member, () => member.#sharedHandler?.(shared))
    done()
  }

  post(message: Message, targets: readonly string[], lost: Lost): void {
    this.publish(message.detached(), targets, (error) => {
      if (error !== undefined) lost(1)
    })
  }

  whenClear(callback: () => void): void {
    callback()
  }

  tell(target: string, signal: NodeSignal): void {
    if (this.closed) return
    for (const member of this.#members)
      if (member.nodeId === target)
        later(member, () => member.#signalHandler?.(this.nodeId, signal))
  }

  async notify(target: string, notice: Notice): Promise<boolean> {
    if (this.closed) throw new Error('the bus is closed')
    for (const member of this.#members) {
      if (member.nodeId !== target) continue
      later(member, () => member.#noticeHandler?.(this.nodeId, notice))
      return true
    }
    return false
  }

  async lag(): Promise<InboxLag> {
    return { bytes: 0, seconds: 0 }
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

  onGap(): void {
    // Nothing is ever lost inside one process.
  }

  onResync(): void {
    // Nothing is ever missed inside one process.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#members.delete(this)
  }

  get closed(): boolean {
    return !this.#members.has(this)
  }
}

function later(member: MemoryBus, tell: () => void): void {
  setImmediate(() => {
    if (!member.closed) tell()
  })
}
