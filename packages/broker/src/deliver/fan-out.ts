import type { Message } from '@breakwater/bus'
import { type QoS, encodePublish, type PublishFrame } from '@breakwater/mqtt'

/** One message on its way to many: each variant (QoS, retain flag) is encoded once, when first needed. */
export class FanOut {
  readonly message: Message
  readonly #frames: (PublishFrame | undefined)[] = [undefined, undefined, undefined]

  constructor(message: Message) {
    this.message = message
  }

  frame(qos: QoS): PublishFrame {
    return (this.#frames[qos] ??= encodePublish(this.message, qos, false))
  }
}
