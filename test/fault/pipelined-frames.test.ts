/*
 * Control and data frames of one client in one write [order of effects]: later frames take effect later,
 * in both directions, also where one of them waits for a store.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import type { Packet, Publish } from '../kit/wire-decoder.ts'
import * as wire from '../kit/wire-encoder.ts'
import { PacketFlow } from './packet-flow.ts'

const TIMES = 1_000
/** Pairs of frames in one write. */
const AT_ONCE = 50

const SESSIONS = [
  { qos: 0, clean: true },
  { qos: 1, clean: true },
  { qos: 1, clean: false },
] as const

type Session = (typeof SESSIONS)[number]

describe.each(['memory', 'redis'] as const)(
  'packets in one write take effect in order (%s)',
  (store) => {
    const resources = new AsyncDisposableStack()
    let node: TestNode
    let lastName = 0
    beforeAll(async () => {
      const redis = store === 'redis' ? resources.use(await startRedis()) : undefined
      const options = redis ? { redisUrl: redis.url, redisPrefix: redis.prefix } : {}
      // Thousands of control packets of one client: their rate is another test's matter.
      const limits = {
        filtersPerClientMax: 2 * TIMES,
        controlPacketsPerSecondMax: 0,
        controlBytesPerSecondMax: 0,
      }
      node = resources.use(await startNode({ limits, ...options }))
    })
    afterAll(() => resources.disposeAsync())

    /** Sends both frames of every pair in batches; gives the messages that came by the time all is answered. */
    async function exchange(
      { clean }: Session,
      pair: (index: number) => readonly [Buffer, Buffer],
      before: readonly Buffer[] = [],
    ): Promise<Publish[]> {
      const messages: Publish[] = []
      let isAnswered = false
      const take = (packet: Packet, flow: PacketFlow): void => {
        if (packet.type === 'pingresp') isAnswered = true
        if (packet.type !== 'publish') return
        messages.push(packet)
        if (packet.qos === 1) flow.send(wire.encodePuback(packet.packetId))
      }
      lastName += 1
      await using client = await PacketFlow.connect(node, { clientId: `c${lastName}`, clean }, take)
      client.send(...before)
      for (let from = 0; from < TIMES; from += AT_ONCE)
        client.send(...Array.from({ length: AT_ONCE }, (_, index) => pair(from + index)).flat())
      // A retained message for a subscription behind all others: replays come in the order of the SUBACKs.
      const fence = `fence/${lastName}`
      client.send(
        wire.encodePublish({ topic: fence, payload: 'x', qos: 1, packetId: 65_000, retain: true }),
        wire.encodeSubscribe(65_001, [[fence, 1]]),
      )
      await client.until(() => messages.at(-1)?.topic === fence, 'the fence', 30_000)
      client.send(wire.encodePingreq())
      await client.until(() => isAnswered, 'pingresp')
      return messages.filter(({ topic }) => topic !== fence)
    }

    const id = (index: number): number => index + 1
    const publish = (topic: string, qos: 0 | 1, index: number, retain = false): Buffer =>
      wire.encodePublish({
        topic,
        payload: 'x',
        qos,
        retain,
        ...(qos ? { packetId: id(index) } : {}),
      })

    it.each(SESSIONS)(
      'SUBSCRIBE, then PUBLISH: the message is delivered once, %o',
      async (session) => {
        const topic = (index: number): string =>
          `sp/${store}/${session.qos}${session.clean}/${index}`
        const messages = await exchange(session, (index) => [
          wire.encodeSubscribe(id(index), [[topic(index), session.qos]]),
          publish(topic(index), session.qos, index),
        ])
        expect(messages.map((message) => message.topic)).toEqual(
          Array.from({ length: TIMES }, (_, index) => topic(index)),
        )
        expect(messages.filter(({ retain }) => retain)).toEqual([])
      },
    )

    it.each(SESSIONS)(
      'retained PUBLISH, then SUBSCRIBE: the message is replayed once, %o',
      async (session) => {
        const topic = (index: number): string =>
          `ps/${store}/${session.qos}${session.clean}/${index}`
        const messages = await exchange(session, (index) => [
          publish(topic(index), session.qos, index, true),
          wire.encodeSubscribe(id(index), [[topic(index), session.qos]]),
        ])
        expect(messages.map((message) => message.topic).toSorted()).toEqual(
          Array.from({ length: TIMES }, (_, index) => topic(index)).toSorted(),
        )
        expect(messages.filter(({ retain }) => !retain)).toEqual([])
      },
    )

    it.each(SESSIONS)(
      'UNSUBSCRIBE, then PUBLISH: the message is not delivered, %o',
      async (session) => {
        const topic = (index: number): string =>
          `up/${store}/${session.qos}${session.clean}/${index}`
        const messages = await exchange(
          session,
          (index) => [
            wire.encodeUnsubscribe(id(index), [topic(index)]),
            publish(topic(index), session.qos, index),
          ],
          Array.from({ length: TIMES }, (_, index) =>
            wire.encodeSubscribe(id(index), [[topic(index), session.qos]]),
          ),
        )
        expect(messages).toEqual([])
      },
    )

    it.each(SESSIONS)(
      'PUBLISH, then UNSUBSCRIBE: the message is delivered, %o',
      async (session) => {
        const topic = (index: number): string =>
          `pu/${store}/${session.qos}${session.clean}/${index}`
        const messages = await exchange(
          session,
          (index) => [
            publish(topic(index), session.qos, index),
            wire.encodeUnsubscribe(id(index), [topic(index)]),
          ],
          Array.from({ length: TIMES }, (_, index) =>
            wire.encodeSubscribe(id(index), [[topic(index), session.qos]]),
          ),
        )
        expect(messages.map((message) => message.topic)).toEqual(
          Array.from({ length: TIMES }, (_, index) => topic(index)),
        )
      },
    )
  },
)
