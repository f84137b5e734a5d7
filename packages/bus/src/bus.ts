import type { Message } from './message.ts'

/**
 * What nodes tell each other beside messages. Each notice is idempotent and says nothing that is not
 * also in the store, so a lost one is repaired by reading the store again (`onResync`).
 */
export type Notice =
  | {
      /** A client id has a new owner; an owner with a lower epoch closes its connection. */
      readonly kind: 'taken-over'
      readonly clientId: string
      readonly epoch: number
    }
  | {
      /** The filters of a stored session changed; `[filter, qos]`, QoS -1 for a removed one. */
      readonly kind: 'filters'
      readonly clientId: string
      readonly changes: readonly (readonly [filter: string, qos: number])[]
    }

export type Done = (error?: Error) => void

/**
 * The way between nodes. Every node sees each message of every other node once, in the order in which
 * that node published it, and never its own.
 */
export interface Bus extends AsyncDisposable {
  /** Of this process start; never used again by another. */
  readonly nodeId: string
  /** Whether there can be other nodes at all; a bus of one node takes no messages. */
  readonly clustered: boolean
  /**
   * Hands a message to every other node. Messages of one event-loop turn travel together. `done` is
   * called exactly once, in the order of the calls: when the bus has taken it, or with an error when it
   * could not within the time-out, is full, or is closed.
   */
  publish(message: Message, done: Done): void
  /** Tells every other node. Resolves when the bus has taken it, rejects as `publish` fails. */
  notify(notice: Notice): Promise<void>
  onMessage(handler: (message: Message) => void): void
  onNotice(handler: (notice: Notice) => void): void
  /** After a time in which messages or notices may have been missed. */
  onResync(handler: () => void): void
}
