export { AedesDeployment } from './import/aedes-deployment.ts'
export type { AckLevel } from './redis/confirmation.ts'
export type { AedesChunk, AedesQueued, AedesSession, AedesWill } from './import/aedes-deployment.ts'
export { ImportQueue } from './import/import-queue.ts'
export type { StagedMessage } from './import/import-queue.ts'
export { MemoryStore } from './memory/memory-store.ts'
export { RedisImport } from './import/redis-import.ts'
export type { ImportAnswer, ImportedSession, ImportedWill } from './import/redis-import.ts'
export { createRedisStore } from './redis/redis-store.ts'
export type { RedisStoreOptions } from './redis/redis-store.ts'
export type {
  RevocationAnswer,
  RevocationChange,
  RevocationSnapshot,
  RevocationStep,
  RevocationStore,
} from './revocations.ts'
export { InboundFullError, RetainedFullError } from './share-bounds.ts'
export type { ShareBounds } from './share-bounds.ts'
export type {
  SharedAppend,
  SharedMemberId,
  SharedQueued,
  SharedQueues,
  SharedRead,
} from './shared-queues.ts'
export {
  FencedError,
  packetIdOf,
  queuedBytes,
  QUEUE_FULL,
  QueueFullError,
  SHARED_INFLIGHT_MAX,
  SHARED_PACKET_ID_MIN,
  sharedPacketIdOf,
} from './store.ts'
export type {
  AdoptedClient,
  Appended,
  AppendDone,
  ClaimRefusal,
  Claimed,
  ClientClaim,
  FormerOwner,
  HeldSession,
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
  ChangedFilters,
  SessionFilters,
  SessionTerms,
  Store,
  StoreBounds,
  StoreCounts,
  StoredFacts,
  StoredSubscription,
} from './store.ts'
