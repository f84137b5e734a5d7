/** Answers of Redis that are lost: a command that is sent again takes effect once, and in order. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { Message } from '@breakwater/bus'
import type { Claimed, ClientClaim, Store } from '@breakwater/store'
import { expect, test } from 'vitest'
import { startRedis } from '../kit/redis/redis.ts'
import { redisStores } from './redis-stores.ts'
import { append, enqueue, message, payloadsOf } from './store-steps.ts'

const APPENDS = 5_000
const LOSSES = 12

/** A way to Redis that takes every request and can lose the answers: the connection ends instead. */
async function startLossyProxy(target: URL) {
  const fars = new Set<Socket>()
  let losing = false
  let lost = 0
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    fars.add(far)
    near.pipe(far)
    far.on('data', (answer) => {
      if (!losing) {
        near.write(answer)
        return
      }
      losing = false
      lost += 1
      near.destroy()
    })
    near.on('error', () => undefined)
    far.on('error', () => undefined)
    near.on('close', () => far.destroy())
    far.on('close', () => {
      near.destroy()
      fars.delete(far)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Loses the next answer. */
    lose: () => {
      losing = true
    },
    get lost() {
      return lost
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const far of fars) far.destroy()
      await closed
    },
  }
}

test('messages whose append answers are lost are queued once each and in order', async () => {
  await using server = await startRedis()
  await using proxy = await startLossyProxy(new URL(server.url))
  await using stores = redisStores({ url: proxy.url, prefix: server.prefix })
  const store = await stores.open({ timeoutMs: 30_000 })
  await store.openSession('a', true)
  const names = Array.from({ length: APPENDS }, (_, index) => `${index}`)
  const positions: number[] = []
  const appended: Promise<unknown>[] = []
  for (const [index, name] of names.entries()) {
    appended.push(enqueue(store, 'a', name).then((made) => positions.push(made.positions[0] ?? 0)))
    if (index % 10 === 0) await turn()
    if (index % Math.floor(APPENDS / LOSSES) === 200) {
      proxy.lose()
      await Promise.all(appended)
    }
  }
  await Promise.all(appended)
  expect(proxy.lost).toBeGreaterThanOrEqual(LOSSES / 2)
  // Stored before its answer was lost, at an unknown position.
  expect(positions).toContain(-1)
  expect(positions).toHaveLength(APPENDS)
  expect(await payloadsOf(store, 'a')).toEqual(names)
})

test('a retained publish whose answer is lost reports that its topic and its queue may have changed', async () => {
  await using server = await startRedis()
  await using proxy = await startLossyProxy(new URL(server.url))
  await using stores = redisStores({ url: proxy.url, prefix: server.prefix })
  const store = await stores.open({ timeoutMs: 30_000 })
  const { epoch } = await store.openSession('a', true)
  const retained = new Message('t', Buffer.from('m'), 1, true)
  const queues = [{ clientId: 'a', qos: 1 as const }]
  for (const [payload, position] of [
    ['m', 1],
    ['', 3],
  ] as const) {
    const known = await append(store, { message: retained, queues })
    const retainedChanged = position === 1
    expect(known).toEqual({ positions: [position], epochs: [epoch], dropped: 0, retainedChanged })
    proxy.lose()
    const again = new Message('t', Buffer.from(payload), 1, true)
    const unknown = await append(store, { message: again, queues })
    expect(unknown).toEqual({ positions: [-1], dropped: 0, retainedChanged: true })
  }
  expect(proxy.lost).toBe(2)
})

test('every effect of a publish happens once when answers are lost: fan-out in several calls, retained message, end of QoS 2', async () => {
  await using server = await startRedis()
  await using proxy = await startLossyProxy(new URL(server.url))
  await using stores = redisStores({ url: proxy.url, prefix: server.prefix })
  const store = await stores.open({ timeoutMs: 30_000 })
  const clientIds = Array.from({ length: 1_200 }, (_, index) => `c${index}`)
  await Promise.all(clientIds.map((clientId) => store.openSession(clientId, true)))
  await new Promise<void>((resolve) => store.storeInbound('c0', 7, message('t'), () => resolve()))
  proxy.lose()
  const queues = clientIds.map((clientId) => ({ clientId, qos: 1 as const }))
  const done = new Promise<Error | undefined>((resolve) =>
    store.append(
      { message: message('t', 'm'), queues, inbound: { clientId: 'c0', packetId: 7 } },
      resolve,
    ),
  )
  expect(await done).toBeUndefined()
  expect(proxy.lost).toBe(1)
  for (const clientId of ['c0', 'c499', 'c500', 'c1199'])
    expect(await payloadsOf(store, clientId)).toEqual(['m'])
  expect(await store.readInbound('c0', 7)).toBeUndefined()
})

test('a claim whose answer is lost gets the same answer again: the former owner and the opened session', async () => {
  await using server = await startRedis()
  await using proxy = await startLossyProxy(new URL(server.url))
  await using stores = redisStores({ url: proxy.url, prefix: server.prefix })
  const [here, there] = await Promise.all([stores.openRaw(), stores.openRaw()])
  const claim = { clientId: 'a', nodeId: 'here', user: 'user', persistent: true }
  const lost: Claimed[] = []
  const claimed = async (store: Store, asked: ClientClaim): Promise<Claimed> => {
    const before = proxy.lost
    proxy.lose()
    const answer = await store.claimClient(asked)
    expect(proxy.lost).toBe(before + 1)
    if (typeof answer === 'string') throw new Error(answer)
    lost.push(answer)
    return answer
  }
  const made = await claimed(here, claim)
  expect(made.opened).toMatchObject({ present: false, epoch: made.epoch })
  const rival = await claimed(there, { ...claim, nodeId: 'there' })
  expect(rival.former).toEqual({ nodeId: 'here', epoch: made.epoch })
  const again = await claimed(there, { ...claim, nodeId: 'there' })
  expect(again.former).toEqual({ nodeId: 'there', epoch: rival.epoch })
  await there.leaveClient({ clientId: 'a', epoch: again.epoch })
  const resumed = await claimed(here, claim)
  expect(resumed.opened).toMatchObject({ present: true, epoch: resumed.epoch })
  const owner = { clientId: 'a', epoch: resumed.epoch }
  await here.addSubscriptions(owner, [{ filter: 'f', qos: 1 }])
  expect(await there.replacedOwners(lost.map(({ epoch }) => ({ clientId: 'a', epoch })))).toEqual(
    Array.from({ length: 3 }, () => owner),
  )
})

test('a refused publish whose answer is lost stays refused, and is not reported as stored', async () => {
  await using server = await startRedis()
  await using proxy = await startLossyProxy(new URL(server.url))
  await using stores = redisStores({ url: proxy.url, prefix: server.prefix })
  const store = await stores.open({
    timeoutMs: 30_000,
    queueMessagesMax: 2,
    queuePolicy: 'close-publisher',
  })
  for (const clientId of ['a', 'b']) await store.openSession(clientId, true)
  for (let round = 0; round < 3; round += 1) {
    proxy.lose()
    const outcomes = await Promise.allSettled([
      enqueue(store, 'a', `${round} a`),
      enqueue(store, 'a', `${round} b`),
      enqueue(store, 'a', `${round} c`),
      enqueue(store, 'b', `${round}`),
    ])
    const stored = outcomes.map(({ status }) => status === 'fulfilled')
    expect(stored).toEqual([round === 0, round === 0, false, round < 2])
    expect(proxy.lost).toBe(round + 1)
  }
  expect(await payloadsOf(store, 'a')).toEqual(['0 a', '0 b'])
  expect(await payloadsOf(store, 'b')).toEqual(['0', '1'])
})
