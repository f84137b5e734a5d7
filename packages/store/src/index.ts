export { AedesDeployment } from './aedes-deployment.ts'
export type { AedesQueuedMessage } from './aedes-deployment.ts'
export { MemoryStore } from './memory-store.ts'
export { createRedisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-store.ts'
export { FencedError, packetIdOf, queuedBytes, QUEUE_FULL, QueueFullError } from './store.ts'
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
  SessionFilters,
  Store,
  StoreCounts,
  StoredSubscription,
} from './store.ts'
