import type { Message, QoS } from '@breakwater/bus'
import { encodePublish, type PublishFrame } from '../mqtt/publish-frame.ts'

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
