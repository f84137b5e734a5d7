import type { NodeSignal } from './bus.ts'
import type { Message } from './message.ts'
import type { SharedMessage } from './shared-message.ts'

export interface FrameItem {
  readonly number: number
  readonly content: Message | SharedMessage | NodeSignal
}
