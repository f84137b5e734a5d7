import type { CloseReasonId } from './close-reason.ts'

/** Why a stream between the socket and MQTT ended itself, where the error's code would not say it. */
export class StreamFault extends Error {
  readonly reason: CloseReasonId

  constructor(reason: CloseReasonId, detail: string) {
    super(detail)
    this.reason = reason
  }
}
