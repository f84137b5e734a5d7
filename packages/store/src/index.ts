export { AedesDeployment } from './aedes-deployment.ts'
export type { AedesQueuedMessage } from './aedes-deployment.ts'
export { MemoryStore } from './memory-store.ts'
export { createRedisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-store.ts'
export { FencedError, packetIdOf, queuedBytes, QUEUE_FULL, QueueFullError } from './store.ts'
export type {
  AdoptedClient,
  Appended,
  AppendDone,
  Claimed,
  ClientClaim,
  FormerOwner,
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
  SessionTerms,
  Store,
  StoreCounts,
  StoredSubscription,
} from './store.ts'
