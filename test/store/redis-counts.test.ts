/** The number of Redis commands for a turn of publishes and of acknowledgements, on any machine. */
import { Message } from '@breakwater/bus'
import { createRedisStore, queuedBytes, type Appended, type Store } from '@breakwater/store'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'

const MESSAGES = 100
const message = new Message('a/topic', Buffer.from('payload'), 1, false)

async function callsDuring(info: Redis, work: () => Promise<void>): Promise<Map<string, number>> {
  await info.config('RESETSTAT')
  await work()
  const found = (await info.info('commandstats')).matchAll(/^cmdstat_(\w+):calls=(\d+)/gm)
  return new Map([...found].map(([, name = '', calls]) => [name, Number(calls)]))
}

async function append(store: Store, clientId: string): Promise<Appended> {
  const { promise, resolve, reject } = Promise.withResolvers<Appended>()
  store.append({ message, queues: [{ clientId, qos: 1 }] }, (error, appended) => {
    if (error === undefined) resolve(appended)
    else reject(error)
  })
  return await promise
}

it('messages of one turn for one session update its counters once, and acknowledged messages leave the queue in one command', async () => {
  await using redis = await startRedis({ args: ['--save', ''] })
  await using store = await createRedisStore(
    { url: redis.url, password: undefined, ca: undefined, prefix: redis.prefix },
    { queueMessagesMax: 1_000, queueBytesMax: 1_048_576, timeoutMs: 10_000, onFault: () => {} },
  )
  await using stack = new AsyncDisposableStack()
  const info = new Redis(redis.url)
  stack.defer(() => info.disconnect())
  const claim = { clientId: 'client', nodeId: 'node', user: '', persistent: true }
  const claimed = await store.claimClient(claim)
  if (typeof claimed === 'string') throw new Error('the session is new')
  const owner = { clientId: 'client', epoch: claimed.epoch }
  const numbers = Array.from({ length: MESSAGES }, (_, index) => index + 1)

  const appends = await callsDuring(info, async () => {
    const appended = await Promise.all(numbers.map(() => append(store, 'client')))
    expect(appended.map(({ positions }) => positions[0])).toEqual(numbers)
    expect(new Set(appended.map(({ epochs }) => epochs?.[0]))).toEqual(new Set([claimed.epoch]))
  })
  expect(appends.get('xadd')).toBe(MESSAGES)
  expect(appends.get('hmget')).toBeLessThanOrEqual(2)
  expect(appends.get('hset')).toBeLessThanOrEqual(2)

  const receipts = await callsDuring(info, async () => {
    store.recordSent(owner, MESSAGES)
    for (const position of numbers) store.settle(owner, position, queuedBytes(message))
    // Waits for what was settled.
    await store.openSession(owner, claim)
  })
  expect(receipts.get('xdel')).toBeLessThanOrEqual(4)
  expect(receipts.get('hset')).toBeLessThanOrEqual(3)
  const session = (await info.keys(`${redis.prefix}*:session:client`))[0] ?? ''
  expect(await info.hmget(session, 'bytes', 'count', 'sent')).toEqual(['0', '0', `${MESSAGES}`])
})
