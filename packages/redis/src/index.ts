export { connectOrFail, createRedis } from './client.ts'
export type { ConnectionOptions, RedisRole, RedisSettings } from './client.ts'
export { failureOf, isRelocation } from './failure.ts'
export { faultOf, REDIS_FAULTS } from './fault.ts'
export type { RedisFault, RedisFaultKind } from './fault.ts'
export {
  lacksOf,
  pingSeconds,
  readFacts,
  REDIS_MAJOR_MIN,
  REDIS_SETTINGS,
  UnfitRedis,
  unfitReason,
} from './health.ts'
export type { RedisFacts, RedisNeeds, RedisSetting } from './health.ts'
export { replyError } from './handshake.ts'
export { startHeartbeat } from './heartbeat.ts'
export { kindOfKey, redisKeyKinds } from './key-kinds.ts'
export type { RedisKeyKind, RedisType } from './key-kinds.ts'
export { bucketOf, BUCKETS, keysWith, RETAINED_BUCKETS } from './keys.ts'
export type { Keys } from './keys.ts'
export { isBadValue, MEND_LUA, mend, mending } from './mend.ts'
export type { BadValue, OnBadValue } from './mend.ts'
export { openPlace } from './place.ts'
export type { RedisPlace } from './place.ts'
export { fieldsOf } from './reply.ts'
export { sendAll, sendTo } from './script-calls.ts'
export type { Result, ScriptCall } from './script-calls.ts'
export type { Servers, ServersOptions, RedisArgument } from './servers.ts'
export { slotOf } from './slot.ts'
export { tryConnection } from './trial.ts'
export { TurnQueue } from './turn-queue.ts'
export type { ItemDone, Outcome, TurnLoad } from './turn-queue.ts'
export type { Redis } from 'ioredis'
