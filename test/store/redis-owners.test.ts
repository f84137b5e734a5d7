/** Claims that Redis answers too late, and clients that leave during other operations. */
import { bucketOf, keysWith } from '@breakwater/redis'
import type { ClientClaim, Owner, Store } from '@breakwater/store'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { redisStores } from './redis-stores.ts'
import { failure, message } from './store-steps.ts'

const TIMEOUT_MS = 500

let redis: TestRedis
let client: Redis
beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
})
afterAll(async () => {
  client.disconnect()
  await redis[Symbol.asyncDispose]()
})

function claimOf(clientId: string, nodeId: string): ClientClaim {
  const will = message(`will of ${clientId}`)
  return { clientId, nodeId, user: 'user', persistent: true, will }
}

async function owning(store: Store, claim: ClientClaim): Promise<Owner> {
  const claimed = await store.claimClient(claim)
  if (typeof claimed === 'string') throw new Error(claimed)
  return { clientId: claim.clientId, epoch: claimed.epoch }
}

describe('a claim that fails because Redis hangs, and is executed later,', () => {
  test('leaves neither an owner nor a will behind', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using stores = redisStores({ url: proxy.url, prefix: redis.prefix })
    const store = await stores.openRaw({ timeoutMs: TIMEOUT_MS })
    const keys = keysWith(stores.settings.prefix)
    // A server that does not know the script yet would not run it late.
    await owning(store, claimOf('another', 'node'))
    proxy.stall()
    const { tookMs } = await failure(() => store.claimClient(claimOf('a', 'node')))
    expect(tookMs).toBeGreaterThanOrEqual(TIMEOUT_MS - 1)
    await proxy.restore()
    // The claim has created this key, so it was executed.
    await expect.poll(() => client.exists(keys.session('a'))).toBe(1)
    const bucket = bucketOf('a')
    await expect.poll(() => client.exists(keys.owners(bucket), keys.wills(bucket))).toBe(0)
  })

  test('replaces an existing owner, which can find out that it was replaced', async () => {
    await using proxy = await startRedisProxy(redis.url)
    await using behind = redisStores({ url: proxy.url, prefix: redis.prefix })
    const store = await behind.openRaw({ timeoutMs: TIMEOUT_MS })
    await using stores = redisStores(redis, behind.settings.prefix)
    const other = await stores.openRaw()
    const before = await owning(other, claimOf('a', 'other'))
    proxy.stall()
    await failure(() => store.claimClient(claimOf('a', 'node')))
    await proxy.restore()
    await expect.poll(() => other.replacedOwners([before])).toMatchObject([{ clientId: 'a' }])
    // The withdrawal of the claim follows the claim on the same connection.
    await expect.poll(() => store.replacedOwners([before])).toHaveLength(1)
    const [late] = await other.replacedOwners([before])
    expect(await other.claimClient(claimOf('a', 'other'))).toMatchObject({
      former: { nodeId: 'node', epoch: late?.epoch },
    })
  })
})

describe('closing a store', () => {
  test('completes the departure of clients that are leaving, and removes their wills', async () => {
    await using stores = redisStores(redis)
    const store = await stores.openRaw()
    const owners = await Promise.all(
      Array.from({ length: 500 }, (_, index) => owning(store, claimOf(`c${index}`, 'node'))),
    )
    const left = owners.map((owner) => store.leaveClient(owner))
    await store[Symbol.asyncDispose]()
    await Promise.all(left)
    const keys = keysWith(stores.settings.prefix)
    const buckets = owners.map(({ clientId }) => bucketOf(clientId))
    const records = buckets.flatMap((bucket) => [keys.owners(bucket), keys.wills(bucket)])
    expect(await client.exists(...records)).toBe(0)
  })
})

describe('an owner that leaves', () => {
  test('sends its settlements before its departure, so the next owner finds the messages settled', async () => {
    await using stores = redisStores(redis)
    const [store, other] = await Promise.all([stores.openRaw(), stores.openRaw()])
    const owner = await owning(store, claimOf('a', 'node'))
    await new Promise<void>((resolve, reject) =>
      store.append({ message: message('t'), queues: [{ clientId: 'a', qos: 1 }] }, (error) =>
        error === undefined ? resolve() : reject(error),
      ),
    )
    // Many calls come before its own.
    for (let index = 0; index < 10_000; index += 1)
      store.settle({ clientId: `nobody ${index}`, epoch: 1 }, 1, 1)
    store.settle(owner, 1, 1)
    await store.leaveClient(owner)
    const next = await owning(other, claimOf('a', 'other'))
    expect(await other.readQueue(next, 1, 10, 1_000)).toEqual([])
  })
})
