/** The suites that belong to the contracts of store and bus, on a Redis Cluster of three masters. */
import { busCompliance } from '@breakwater/bus/compliance'
import { storeCompliance } from '@breakwater/store/compliance'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { redisBuses } from '../bus/redis-buses.ts'
import { findProgram } from '../kit/program.ts'
import {
  startRedisClusterServers,
  type RedisClusterServers,
} from '../kit/redis/redis-cluster-servers.ts'
import { openUnderTest } from '../store/redis-stores.ts'

describe.skipIf(findProgram('redis-server') === undefined)('on a Redis Cluster', () => {
  let redis: RedisClusterServers
  beforeAll(async () => {
    redis = await startRedisClusterServers()
  }, 60_000)
  afterAll(() => redis[Symbol.asyncDispose]())

  describe('the store', () => {
    storeCompliance({ describe, test }, (options) => openUnderTest(redis, options))
  })

  describe('the bus', () => {
    busCompliance({ describe, test }, async () => {
      const buses = redisBuses(redis)
      return { join: () => buses.join(), [Symbol.asyncDispose]: () => buses[Symbol.asyncDispose]() }
    })
  })
})
