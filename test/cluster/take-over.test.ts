/** One owner per client id in the whole cluster [MQTT-3.1.4-2]. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectNothingDelivered, unique } from '../conformance/suite.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodeConnect, encodePublish } from '../kit/wire-encoder.ts'
import {
  acknowledgementsStored,
  connectAt,
  receiveUntil,
  startCluster,
  type Cluster,
} from './cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster[Symbol.asyncDispose]())

const RACES = 200
const ROUNDS = 20
/** Sent before the second connection, acknowledged or not. */
const AHEAD = 50
/** At once: each has clients of its own. */
const RACERS = 8

describe('[MQTT-3.1.4-2] a take-over from another node', () => {
  it.each([
    [true, true],
    [false, false],
    [true, false],
    [false, true],
  ])('closes the first connection with taken-over (clean %s, then %s)', async (before, after) => {
    const clientId = unique('c')
    await using first = await connectAt(cluster.a, { clientId, clean: before })
    await using second = await connectAt(cluster.b, { clientId, clean: after })
    await first.untilClosed()
    const line = await cluster.a.logged(
      (line) => line['clientId'] === clientId && line['msg'] === 'connection closed',
    )
    expect(line['reason']).toBe('taken-over')
    await second.expectSilence()
    const topic = unique('t')
    await second.subscribe([topic, 1])
    await using publisher = await connectAt(cluster.c)
    await publisher.publish({ topic, payload: 'yours', qos: 1 })
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('yours') }])
  })

  it('keeps the session for the new connection: filters, messages in flight, and new messages', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using publisher = await connectAt(cluster.c)
    await using first = await connectAt(cluster.a, { clientId, clean: false })
    await first.subscribe([topic, 1])
    await publisher.publish({ topic, payload: 'in flight', qos: 1 })
    const original = await first.expect('publish')
    await using second = await connectAt(cluster.b, { clientId, clean: false })
    await first.untilClosed()
    expect(await second.receive(1)).toEqual([{ ...original, dup: true }])
    await publisher.publish({ topic, payload: 'live', qos: 1 })
    expect(await second.receive(1)).toMatchObject([{ payload: Buffer.from('live'), dup: false }])
    await acknowledgementsStored(second)
    await second.disconnect()
    await publisher.publish({ topic, payload: 'missed', qos: 1 })
    await using third = await connectAt(cluster.a, { clientId, clean: false })
    expect(await third.receive(1)).toMatchObject([{ payload: Buffer.from('missed') }])
  })

  it('completes after everything that the old connection sent has taken effect, its will included', async () => {
    const topic = unique('t')
    await using watcher = await connectAt(cluster.c)
    await watcher.subscribe([topic, 1])
    for (let round = 0; round < ROUNDS; round++) {
      const clientId = unique('c')
      const will = { topic, payload: 'will', qos: 1 }
      await using first = await connectAt(cluster.a, { clientId, will })
      for (let packetId = 1; packetId <= AHEAD; packetId++)
        first.send(encodePublish({ topic, payload: `${packetId}`, qos: 1, packetId }))
      await using second = await connectAt(cluster.b, { clientId })
      await second.publish({ topic, payload: 'newer', qos: 1 })
      const acknowledged = (await first.untilClosed()).filter(
        ({ type }) => type === 'puback',
      ).length
      const payloads = await receiveUntil(watcher, 'newer')
      expect(payloads.pop()).toBe('will')
      expect(payloads.length).toBeGreaterThanOrEqual(acknowledged)
      expect(payloads).toEqual(payloads.map((_, index) => `${index + 1}`))
      await second.disconnect()
    }
  })

  it('publishes the will of the old connection once, and not the will of the new one', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    await using watcher = await connectAt(cluster.c)
    await watcher.subscribe([topic, 1])
    const will = (payload: string) => ({ topic, payload, qos: 1 })
    await using first = await connectAt(cluster.a, { clientId, will: will('first') })
    await using second = await connectAt(cluster.b, { clientId, will: will('second') })
    await first.untilClosed()
    expect(await watcher.receive(1)).toMatchObject([{ payload: Buffer.from('first') }])
    await using fence = await connectAt(cluster.b)
    await second.disconnect()
    await expectNothingDelivered(watcher, fence)
  })

  it(`leaves exactly one of two connections, which has the session, in ${RACES} races`, async () => {
    await using publisher = await connectAt(cluster.c)
    const races = Array.from({ length: RACES }, (_, race) => race)
    const run = async (): Promise<void> => {
      for (let next = races.shift(); next !== undefined; next = races.shift())
        await race(next, publisher)
    }
    await Promise.all(Array.from({ length: RACERS }, run))
  })

  it('leaves exactly one of ten connections on three nodes', async () => {
    const clientId = unique('race')
    await using stack = new AsyncDisposableStack()
    const nodes = [cluster.a, cluster.b, cluster.c]
    const clients: WireClient[] = []
    for (let count = 0; count < 10; count++) {
      const node = nodes[count % 3]
      if (node !== undefined) clients.push(stack.use(await WireClient.open(node)))
    }
    for (const client of clients) client.send(encodeConnect({ clientId, clean: false }))
    const survivor = await Promise.any(
      clients.map(async (candidate) => {
        const others = clients.filter((client) => client !== candidate)
        await Promise.all(others.map((client) => client.untilClosed()))
        return candidate
      }),
    )
    expect(await survivor.take('connack')).toMatchObject({ returnCode: 0 })
    await survivor.expectSilence()
  })
})

/** Both at two nodes or at one, clean or with a stored session that has a filter and a queue, in all mixtures. */
async function race(number: number, publisher: WireClient): Promise<void> {
  const clientId = unique('race')
  const topic = unique('t')
  const remote = number % 2 === 0
  const clean = [(number >> 1) % 2 === 0, (number >> 2) % 2 === 0]
  const stored = (number >> 3) % 2 === 0
  if (stored) {
    await using before = await connectAt(cluster.b, { clientId, clean: false })
    await before.subscribe([topic, 1])
    await before.disconnect()
    await publisher.publish({ topic, payload: 'queued', qos: 1 })
  }
  await using first = await WireClient.open(cluster.a)
  await using second = await WireClient.open(remote ? cluster.b : cluster.a)
  const contenders = [first, second]
  for (const [index, client] of contenders.entries())
    client.send(encodeConnect({ clientId, clean: clean[index] === true }))
  const loser = await Promise.any(
    contenders.map(async (client) => {
      await client.untilClosed()
      return client
    }),
  )
  const winner = loser === first ? second : first
  const { sessionPresent, returnCode } = await winner.take('connack')
  expect(returnCode).toBe(0)
  const node = loser === second && remote ? cluster.b : cluster.a
  const line = await node.logged(
    (line) => line['clientId'] === clientId && line['reason'] === 'taken-over',
  )
  expect(line['msg']).toBe('connection closed')
  const winnerClean = clean[contenders.indexOf(winner)] === true
  if (winnerClean) expect(sessionPresent).toBe(false)
  // The loser may have been first, and clean: then the stored session has ended. It was never the winner's.
  else if (stored && !clean.includes(true)) expect(sessionPresent).toBe(true)
  // The queue is there with its session, exactly once; DUP if the loser was sent it.
  if (stored && sessionPresent)
    expect(await winner.receive(1)).toMatchObject([{ payload: Buffer.from('queued') }])
  else await winner.subscribe([topic, 1])
  await publisher.publish({ topic, payload: 'live', qos: 1 })
  expect(await winner.receive(1)).toMatchObject([{ payload: Buffer.from('live') }])
  await winner.expectSilence()
  await winner.disconnect()
}
