import type { Message } from './message.ts'

/** A message for one member of a shared subscription that is connected to the node it is sent to. */
export class SharedMessage {
  readonly message: Message
  /** The whole filter, `$share/…`. */
  readonly filter: string
  /** In the queue of the group; 0 for QoS 0, which is in none. */
  readonly position: number
  /** What a member is chosen by, where the strategy goes by a hash; from 0 to 2 ** 32 - 1. */
  readonly hash: number
  /** Another node had no member for it: it goes no further. */
  readonly passedOn: boolean

  constructor(parts: {
    message: Message
    filter: string
    position: number
    hash: number
    passedOn: boolean
  }) {
    this.message = parts.message
    this.filter = parts.filter
    this.position = parts.position
    this.hash = parts.hash
    this.passedOn = parts.passedOn
  }

  get bytes(): number {
    return this.message.bytes + this.filter.length
  }
}
