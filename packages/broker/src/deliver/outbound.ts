/**
 * Deliver: what one client gets, within its window and its write queue.
 *
 * In: copies from the fan-out, acknowledgements from the client. Out: frames into the write queue. QoS 0 goes
 * out at once, or is dropped and counted when the write queue is saturated. QoS 1/2 of a clean session
 * waits in memory (bounds: outboundMessagesMax, outboundBytesMax; beyond them the connection is closed with
 * `queue-overflow`); that of a persistent session is read from the store when there is room. Nothing here
 * ever waits for one client on behalf of another.
 */
import type { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import type { OutgoingPacket } from './exchange.ts'
import type { FanOut } from './fan-out.ts'

export interface Outbound {
  /** QoS 1/2 exchanges that the client has not finished. */
  readonly inflight: number
  /** Messages that wait in memory. */
  readonly waiting: number
  /** The last position of the session's queue that was sent; 0 where there is no queue. */
  readonly position: number
  /** A live copy; QoS is what this client is to get. */
  deliver(fanOut: FanOut, qos: QoS): void
  /** The session's queue got this message, here or (position 0) at another node. */
  queued(position: number, fanOut: FanOut, qos: QoS): void
  /** A retained message for a new subscription. */
  replay(message: Message, qos: QoS): void
  /** Resolves when a replay may go on: nothing waits, and the write queue has room. */
  ready(): Promise<void>
  acknowledge(packet: OutgoingPacket, packetId: number): void
  /** The write queue has room again. */
  writable(): void
  close(): void
}
