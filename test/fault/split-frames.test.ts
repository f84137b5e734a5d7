/* One conversation that holds every packet a client may send, cut in two at every byte, and byte by byte. */
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import type { Packet } from '../kit/wire-decoder.ts'
import * as wire from '../kit/wire-encoder.ts'
import { PacketFlow } from './packet-flow.ts'

/** It publishes to itself; packet ids of a clean session count from 1, so the answers are known. */
const CONVERSATION = Buffer.concat([
  wire.encodeConnect({
    clientId: 'split',
    keepAliveSeconds: 60,
    will: { topic: 'split/will', payload: 'w', qos: 1 },
  }),
  wire.encodeSubscribe(10, [
    ['split/+', 2],
    ['other/#', 0],
  ]),
  wire.encodePublish({ topic: 'split/a', payload: 'zero' }),
  // Its remaining length has two bytes.
  wire.encodePublish({ topic: 'split/b', payload: 'x'.repeat(150), qos: 1, packetId: 11 }),
  wire.encodePuback(1),
  wire.encodePublish({ topic: 'split/c', payload: 'two', qos: 2, packetId: 12 }),
  wire.encodePublish({ topic: 'split/c', payload: 'two', qos: 2, packetId: 12, dup: true }),
  wire.encodePubrel(12),
  wire.encodePubrec(2),
  wire.encodePubcomp(2),
  wire.encodePingreq(),
  wire.encodeUnsubscribe(13, ['other/#']),
  wire.encodePublish({ topic: 'other/a', payload: 'unheard' }),
  wire.encodeDisconnect(),
])

describe('a conversation of every packet type', () => {
  let node: TestNode
  beforeAll(async () => {
    node = await startNode()
  })
  afterAll(() => node[Symbol.asyncDispose]())

  /** Sends the pieces so that each is a read of its own, and gives what came back. */
  async function converse(pieces: readonly Buffer[]): Promise<Packet[]> {
    const packets: Packet[] = []
    await using flow = await PacketFlow.open(node, (packet) => packets.push(packet))
    for (const piece of pieces) {
      if (piece.length === 0) continue
      if (!flow.send(piece)) await once(flow.socket, 'drain')
      // The node is in this process: after a turn of the event loop it has read what is there.
      await turn()
      await turn()
    }
    await flow.untilClosed()
    return packets
  }

  it('is answered when it is sent packet by packet', async () => {
    const packets = await converse([CONVERSATION])
    const types = packets.map(({ type }) => type)
    expect(types.toSorted()).toEqual(
      [
        'connack',
        'suback',
        'publish',
        'puback',
        'publish',
        'pubrec',
        'pubrec',
        'pubcomp',
        'publish',
        'pubrel',
        'pingresp',
        'unsuback',
      ].toSorted(),
    )
    expect(node.closeReasons()).toEqual(['disconnected'])
  })

  it('is answered the same when it is cut in two at any byte', async () => {
    const whole = await converse([CONVERSATION])
    for (let cut = 1; cut < CONVERSATION.length; cut += 1) {
      const packets = await converse([CONVERSATION.subarray(0, cut), CONVERSATION.subarray(cut)])
      expect(packets, `cut at ${cut} of ${CONVERSATION.length}`).toEqual(whole)
    }
  })

  it('is answered the same when it is sent byte by byte', async () => {
    const whole = await converse([CONVERSATION])
    const bytes = [...CONVERSATION].map((byte) => Buffer.from([byte]))
    expect(await converse(bytes)).toEqual(whole)
    expect(new Set(node.closeReasons())).toEqual(new Set(['disconnected']))
  })
})
