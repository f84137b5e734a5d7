/*
 * QoS 2 through a whole node, in both directions at once: a publisher and a subscriber that keep the rules
 * but choose their own order, repeat themselves and lose their connections at any moment. The model is what
 * the publisher has released: that, in that order, each once, is what the subscriber sees.
 */
import { keysWith } from '@breakwater/redis'
import * as fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import { Qos2Receiver } from './qos2-receiver.ts'
import { Qos2Sender } from './qos2-sender.ts'

const WINDOW = 3

const SENDER_STEPS = [
  'publish',
  'publishAgain',
  'release',
  'releaseAgain',
  'releaseUnknown',
  'settle',
  'reconnect',
] as const
const RECEIVER_STEPS = [
  'receive',
  'receiveTwice',
  'complete',
  'answerUnknown',
  'reconnect',
] as const

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant(['sender', 'publish'] as const) },
  { weight: 4, arbitrary: fc.constant(['sender', 'release'] as const) },
  { weight: 4, arbitrary: fc.constant(['sender', 'settle'] as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...SENDER_STEPS).map((name) => ['sender', name] as const),
  },
  { weight: 6, arbitrary: fc.constant(['receiver', 'receive'] as const) },
  { weight: 4, arbitrary: fc.constant(['receiver', 'complete'] as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...RECEIVER_STEPS).map((name) => ['receiver', name] as const),
  },
)
const steps = fc.array(fc.tuple(step, fc.nat(4)), { minLength: 10, maxLength: 60 })

type Steps = typeof steps extends fc.Arbitrary<infer T> ? T : never

let runs = 0

async function play(node: TestNode, played: Steps): Promise<{ sender: string; receiver: string }> {
  runs += 1
  const names = { sender: `p${runs}`, receiver: `s${runs}` }
  const topic = `exactly-once/${runs}`
  const sender = new Qos2Sender(node, names.sender, topic)
  const receiver = new Qos2Receiver(node, names.receiver, WINDOW)
  try {
    await receiver.connect()
    await receiver.subscribe(topic)
    await sender.connect()
    for (const [[who, name], which] of played) {
      if (who === 'sender') await sender[name](which)
      else await receiver[name](which)
    }
    await sender.finish()
    await receiver.finish(sender.released.length)
  } finally {
    await Promise.all([sender.close(), receiver.close()])
  }
  expect(receiver.seen).toEqual(sender.released)
  for (const clientId of Object.values(names)) await expectNothingLeft(node, clientId)
  return names
}

/** The session is there and owes its client nothing. */
async function expectNothingLeft(node: TestNode, clientId: string): Promise<void> {
  await using client = await WireClient.open(node)
  const connack = await client.connect({ clientId, clean: false })
  expect(connack).toMatchObject({ returnCode: 0, sessionPresent: true })
  await client.expectSilence()
}

describe('a QoS 2 message through a node (memory)', () => {
  let node: TestNode
  beforeAll(async () => {
    node = await startNode({ limits: { inflightMessagesMax: WINDOW } })
  })
  afterAll(() => node[Symbol.asyncDispose]())

  it('is delivered exactly once and in order, and leaves no state behind', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (played) => {
        await play(node, played)
      }),
      { numRuns: 500, interruptAfterTimeLimit: 12_000, endOnFailure: true },
    )
    const page = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
    expect(page).toContain('\nbreakwater_inflight_messages 0\n')
    expect(page).toContain('\nbreakwater_queued_messages 0\n')
  })
})

describe('a QoS 2 message through a node (redis)', () => {
  let redis: TestRedis
  let node: TestNode
  let database: Redis
  beforeAll(async () => {
    redis = await startRedis()
    database = new Redis(redis.url)
    node = await startNode({
      redisUrl: redis.url,
      redisPrefix: redis.prefix,
      limits: { inflightMessagesMax: WINDOW },
    })
  })
  afterAll(async () => {
    await node[Symbol.asyncDispose]()
    database.disconnect()
    await redis[Symbol.asyncDispose]()
  })

  it('is delivered exactly once and in order, and leaves no state behind', async () => {
    const keys = keysWith(redis.prefix)
    await fc.assert(
      fc.asyncProperty(steps, async (played) => {
        const names = await play(node, played)
        for (const clientId of Object.values(names)) {
          expect(await database.xlen(keys.queue(clientId))).toBe(0)
          expect(await database.exists(keys.release(clientId), keys.inbound(clientId))).toBe(0)
          expect(await database.hget(keys.session(clientId), 'bytes')).toBe('0')
        }
      }),
      { numRuns: 100, interruptAfterTimeLimit: 10_000, endOnFailure: true },
    )
  })
})
