export { SoloCluster } from './cluster.ts'
export type { Change, Cluster, ClusterHandler, Departure, Done } from './cluster.ts'
export { createRedisCluster } from './redis-cluster.ts'
export type { RedisClusterOptions } from './redis-cluster.ts'
