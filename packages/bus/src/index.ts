export type {
  Assigned,
  Bus,
  Confirmed,
  Done,
  InboxLag,
  Notice,
  OwnerNotice,
  RevocationNotice,
  NodeSignal,
} from './bus.ts'
export { decodeMessage, decodeMessages, encodeMessage, encodeMessages } from './envelope.ts'
export { ENVELOPE_VERSIONS, EnvelopeError } from './envelope.ts'
export type { DropReason } from './inbox-writer.ts'
export { MemoryBusHub } from './memory-bus.ts'
export { Message } from './message.ts'
export type { QueuePlace } from './message.ts'
export { SharedMessage } from './shared-message.ts'
export { FRAME_VERSIONS } from './frame.ts'
export { createRedisBus } from './redis-bus.ts'
export type { RedisBusOptions } from './redis-bus.ts'
