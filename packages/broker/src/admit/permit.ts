/** One socket as admission counts it, from accept to its end. */
import type { CloseReasonId } from '../connection/close-reason.ts'

/** Where a socket is on its way in. */
export const PermitStage = {
  /** Accepted and nothing else: nothing was read, no TLS was begun. */
  HELD: 0,
  /** PROXY header, TLS, WebSocket. */
  HANDSHAKE: 1,
  /** It can speak MQTT; CONNACK has not been written. */
  UNANSWERED: 2,
  /** A client. */
  IN: 3,
  GONE: 4,
} as const

export type PermitStage = (typeof PermitStage)[keyof typeof PermitStage]

/** Who waits to be let in; exactly one of the two is called, once. */
export interface AdmissionCandidate {
  begin(): void
  /** It is to be closed before anything was read of it. */
  shed(reason: CloseReasonId, detail: string): void
}

/** Told of a permit that is at another stage now. */
export type Moved = (permit: AdmissionPermit, from: PermitStage) => void

export class AdmissionPermit {
  readonly since: number = performance.now()
  stage: PermitStage = PermitStage.HELD
  readonly #moved: Moved

  constructor(moved: Moved) {
    this.#moved = moved
  }

  /** CONNACK was written. */
  answered(): void {
    this.reach(PermitStage.IN)
  }

  /** Only forward; who has gone stays so. */
  reach(stage: PermitStage): void {
    const from = this.stage
    if (stage <= from) return
    this.stage = stage
    this.#moved(this, from)
  }
}
