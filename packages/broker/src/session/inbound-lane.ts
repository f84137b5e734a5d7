import type { CloseReasonId } from '../connection/close-reason.ts'

/** What a client publishes: its effects, in the order of its frames (route/publish-lane.ts). */
export interface InboundLane {
  /** Nothing is under way: a control packet may take effect. */
  readonly idle: boolean
  /** Takes a PUBLISH frame; returns why the connection must end, if it must. */
  publish(buffer: Buffer, start: number, body: number, end: number): CloseReasonId | undefined
  /** Takes a PUBREL frame. */
  release(packetId: number): void
  /** Resolves when everything that was received before has taken effect, or failed. */
  drained(): Promise<void>
  close(): void
}
