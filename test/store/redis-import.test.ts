/** Imported data as the store serves it: the users of sessions, queues, wills and retained messages. */
import { Message } from '@breakwater/bus'
import { keysWith, openPlace, type Redis, type RedisSettings } from '@breakwater/redis'
import { createRedisStore, ImportQueue, RedisImport, type ClientClaim } from '@breakwater/store'
import { expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'

const NODE = 'node'
const bounds = { queueMessagesMax: 1_000, queueBytesMax: 1_000_000 }

async function open() {
  const server = await startRedis()
  onTestFinished(() => server[Symbol.asyncDispose]())
  const { url, prefix } = server
  const settings: RedisSettings = { url, password: undefined, ca: undefined, prefix }
  const onFault = (error: Error): never => {
    throw error
  }
  const store = await createRedisStore(settings, { ...bounds, timeoutMs: 20_000, onFault })
  onTestFinished(() => store[Symbol.asyncDispose]())
  const place = await openPlace(settings)
  const servers = await place.servers('control')
  onTestFinished(() => servers[Symbol.dispose]())
  const [redis] = servers.all as [Redis]
  const keys = keysWith(prefix)
  return { store, redis, keys, target: new RedisImport(servers, keys) }
}

const claimOf = (clientId: string, user: string): ClientClaim => ({
  clientId,
  nodeId: NODE,
  user,
  persistent: true,
})

const session = (clientId: string, user?: string) => ({
  clientId,
  user,
  subscriptions: [{ filter: 'a/#', qos: 1 as const }],
  released: [9, 4],
  received: [3],
})

test('an imported session belongs to the first user that opens it, or to the user that the import names', async () => {
  const { store, target } = await open()
  const queue = new ImportQueue(bounds)
  expect(await target.finish(session('free'), queue)).toBe('imported')
  expect(await target.finish(session('given', 'given'), queue)).toBe('imported')
  expect(await store.claimClient(claimOf('given', 'ann'))).toBe('another-user')
  expect(await store.claimClient(claimOf('given', 'given'))).toMatchObject({
    opened: { present: true },
  })
  const claimed = await store.claimClient(claimOf('free', 'ann'))
  expect(claimed).toMatchObject({
    opened: {
      present: true,
      subscriptions: [{ filter: 'a/#', qos: 1 }],
      released: [9, 4],
      received: [3],
    },
  })
  if (typeof claimed === 'string') throw new Error(claimed)
  await store.leaveClient({ clientId: 'free', epoch: claimed.epoch })
  expect(await store.claimClient(claimOf('free', 'bob'))).toBe('another-user')
  expect(await store.claimClient(claimOf('free', 'ann'))).not.toBe('another-user')
})

test('an imported queue is visible when it is complete; the rest of an interrupted run is discarded', async () => {
  const { store, redis, keys, target } = await open()
  const message = (text: string): Message => new Message('a/1', Buffer.from(text), 1, false)
  const staged = (queue: ImportQueue, text: string) =>
    [queue.add(message(text), undefined)].flatMap((entry) => entry ?? [])
  const first = new ImportQueue(bounds)
  await target.stage('c', first, staged(first, 'old'), true)
  expect(await redis.exists(keys.queue('c'), keys.session('c'))).toBe(0)
  const second = new ImportQueue(bounds)
  await target.stage('c', second, staged(second, 'one'), true)
  const more = staged(second, 'two')
  await expect(target.finish(session('c'), second)).rejects.toThrow(/not whole/)
  await target.stage('c', second, more, false)
  expect(await target.look('c')).toBe('imported')
  expect(await target.finish(session('c'), second)).toBe('imported')
  expect(await target.finish(session('c'), second)).toBe('before')
  expect(await target.look('c')).toBe('before')
  const claimed = await store.claimClient(claimOf('c', 'ann'))
  if (typeof claimed === 'string') throw new Error(claimed)
  const owner = { clientId: 'c', epoch: claimed.epoch }
  const queued = await store.readQueue(owner, 1, 10, 10_000)
  expect(
    queued.map(({ position, message: { payload } }) => [position, payload.toString()]),
  ).toEqual([
    [1, 'one'],
    [2, 'two'],
  ])
  expect(await redis.ttl(keys.queue('c'))).toBe(-1)
})

test('an imported will is published by the node that adopts it, unless its client connects first', async () => {
  const { store, target } = await open()
  const message = new Message('w', Buffer.from('last'), 1, false)
  const will = (clientId: string) => ({ clientId, user: undefined, message })
  for (const clientId of ['away', 'back']) {
    expect(await target.will(will(clientId), 'import')).toBe('imported')
    expect(await target.will(will(clientId), 'import')).toBe('before')
  }
  expect(await store.claimClient(claimOf('back', 'ann'))).toMatchObject({
    former: { nodeId: 'import' },
  })
  const adopted = (await Array.fromAsync(store.adoptClients('import', NODE))).flat()
  expect(adopted.map(({ owner, will: { topic } }) => [owner.clientId, topic])).toEqual([
    ['away', 'w'],
  ])
  // During the adoption, too, any user may open the session.
  expect(await store.claimClient(claimOf('away', 'ann'))).toMatchObject({
    former: { nodeId: NODE },
  })
})

test('an import leaves a retained message that exists, or was cleared later, unchanged', async () => {
  const { store, target } = await open()
  const message = (text: string): Message => new Message('r', Buffer.from(text), 1, true)
  const other = new Message('s', Buffer.from('s'), 1, true)
  const write = (written: Message): Promise<void> =>
    new Promise((resolve, reject) =>
      store.append({ message: written, queues: [] }, (error) =>
        error ? reject(error) : resolve(),
      ),
    )
  await write(message('here'))
  expect(await target.retain([message('there'), other])).toEqual(
    expect.arrayContaining(['existing', 'imported']),
  )
  const { messages } = await store.readRetained(['r', 's'], 10_000)
  expect(messages.map(({ payload }) => payload.toString()).toSorted()).toEqual(['here', 's'])
  await write(new Message('s', Buffer.alloc(0), 1, true))
  expect(await target.retain([message('there'), other])).toEqual(['before', 'before'])
  expect(await store.retainedExist(['s'])).toEqual([false])
})
