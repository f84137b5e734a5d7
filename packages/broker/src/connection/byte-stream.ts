import type { Duplex } from 'node:stream'

/** A socket, or what is one to MQTT. */
export type ByteStream = Duplex & {
  /** Ends it when everything that was written has left. */
  destroySoon(): void
  /** The client behind it is known now: bounds for strangers end. */
  letIn?(): void
}
