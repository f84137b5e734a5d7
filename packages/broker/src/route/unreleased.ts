/**
 * QoS 2 publishes that one connection has sent and not released, by packet id; without a message where it is only
 * in the store (a session that was resumed). Bounds: `inboundQos2Max`, `inboundQos2BytesMax` of the connection,
 * `inboundQos2BytesPerUserMax` of its user at this node.
 */
import type { Message } from '@breakwater/bus'
import type { Limits } from '@breakwater/config'
import type { Account } from '../session/accounts.ts'

export interface UnreleasedOptions {
  /** Packet ids that an earlier connection of the session has left. */
  readonly received: readonly number[]
  readonly account: Account
  readonly limits: Limits
}

export class Unreleased {
  readonly #limits: Limits
  readonly #account: Account
  #messages: Map<number, Message | undefined> | undefined
  #bytes = 0

  constructor({ received, account, limits }: UnreleasedOptions) {
    this.#limits = limits
    this.#account = account
    if (received.length > 0)
      this.#messages = new Map(received.map((packetId) => [packetId, undefined]))
  }

  has(packetId: number): boolean {
    return this.#messages?.has(packetId) === true
  }

  /** Whether there was room: one of any size is taken. Keeps the message. */
  add(packetId: number, message: Message): boolean {
    const { inboundQos2Max, inboundQos2BytesMax, inboundQos2BytesPerUserMax } = this.#limits
    const { bytes } = message
    this.#messages ??= new Map()
    if (this.#messages.size >= inboundQos2Max) return false
    const isFull =
      this.#bytes + bytes > inboundQos2BytesMax ||
      this.#account.inboundBytes + bytes > inboundQos2BytesPerUserMax
    if (isFull && this.#bytes > 0) return false
    this.#messages.set(packetId, message)
    this.#count(bytes)
    return true
  }

  /** It is released: undefined where its message is only in the store. */
  take(packetId: number): Message | undefined {
    const message = this.#messages?.get(packetId)
    this.#messages?.delete(packetId)
    if (message !== undefined) this.#count(-message.bytes)
    return message
  }

  /** The connection has ended. */
  clear(): void {
    this.#messages = undefined
    this.#count(-this.#bytes)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#account.inboundBytes += bytes
  }
}
