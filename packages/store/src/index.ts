export { MemoryStore } from './memory-store.ts'
export { createRedisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-store.ts'
export { packetIdOf } from './store.ts'
export type {
  Appended,
  AppendDone,
  OpenedSession,
  PublishEffects,
  QueueAppend,
  QueueBounds,
  QueuedMessage,
  SessionFilters,
  Store,
  StoreCounts,
  StoredSubscription,
} from './store.ts'
