export { AedesDeployment } from './aedes-deployment.ts'
export type { AedesQueuedMessage } from './aedes-deployment.ts'
export { MemoryStore } from './memory-store.ts'
export { createRedisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-store.ts'
export { FencedError, packetIdOf, queuedBytes } from './store.ts'
export type {
  Appended,
  AppendDone,
  InboundPublish,
  OnFenced,
  OpenedSession,
  Owner,
  PublishEffects,
  QueueAppend,
  QueueBounds,
  QueuePolicy,
  QueuedMessage,
  Released,
  RetainedRead,
  SessionFilters,
  Store,
  StoreCounts,
  StoredSubscription,
} from './store.ts'
