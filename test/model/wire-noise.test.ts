/*
 * Clients that send noise to a whole node: conversations with bytes changed, cut out or doubled. Each
 * ends with a reason that blames the client, or goes on; nothing is thrown (an error in a socket's
 * listener would end this process), nobody else notices.
 */
import * as fc from 'fast-check'
import { connect } from 'node:net'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'
import * as wire from '../kit/wire-encoder.ts'

/** What a client can be blamed for; `taken-over` where noise has made two client ids the same. */
const BLAME = new Set([
  'disconnected',
  'connection-lost',
  'malformed-packet',
  'protocol-violation',
  'packet-too-large',
  'topic-too-long',
  'unsupported-protocol-version',
  'client-id-rejected',
  'receive-maximum-exceeded',
  'taken-over',
])

const packetId = fc.integer({ min: 1, max: 5 })
const topic = fc.constantFrom('a', 'a/b', '$SYS/x', 'ü', 'a/+', '#', '')
const qos = fc.integer({ min: 0, max: 3 })
const request = fc.oneof(
  fc
    .record({ topic, qos, packetId, retain: fc.boolean(), dup: fc.boolean(), payload: fc.string() })
    .map((fields) => wire.encodePublish(fields)),
  fc
    .tuple(packetId, fc.array(fc.tuple(topic, qos), { maxLength: 3 }))
    .map(([id, filters]) => wire.encodeSubscribe(id, filters)),
  fc
    .tuple(packetId, fc.array(topic, { maxLength: 3 }))
    .map(([id, filters]) => wire.encodeUnsubscribe(id, filters)),
  packetId.map((id) => wire.encodePuback(id)),
  packetId.map((id) => wire.encodePubrec(id)),
  packetId.map((id) => wire.encodePubrel(id)),
  packetId.map((id) => wire.encodePubcomp(id)),
  fc.constant(wire.encodePingreq()),
  fc.constant(wire.encodeDisconnect()),
)

interface Damage {
  readonly kind: 'change' | 'cut' | 'double'
  readonly place: number
  readonly value: number
}

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('change' as const, 'cut' as const, 'double' as const),
  place: fc.nat(400),
  value: fc.nat(255),
})

function damaged(bytes: Buffer, { kind, place, value }: Damage): Buffer {
  const at = place % bytes.length
  if (kind === 'change')
    return Buffer.concat([bytes.subarray(0, at), Buffer.from([value]), bytes.subarray(at + 1)])
  const length = kind === 'cut' ? -(value % 8) : value % 8
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length))])
}

/** Sends the bytes, reads whatever comes and closes; resolves when the socket is gone. */
async function converse(node: TestNode, bytes: Buffer): Promise<void> {
  const socket = connect(node.port, node.host)
  socket.on('error', () => undefined)
  socket.resume()
  socket.end(bytes)
  await once(socket, 'close')
}

describe('a node that is sent noise', () => {
  it('blames the client, and serves everybody else', async () => {
    await using node = await startNode({ limits: { packetBytesMax: 2_000, inboundQos2Max: 3 } })
    await using witness = await WireClient.open(node)
    await witness.connect({ clientId: 'witness' })
    await witness.subscribe(['witness/only', 1])
    let conversations = 0
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(request, { maxLength: 8 }),
        fc.array(damage, { maxLength: 3 }),
        async (clean, requests, damages) => {
          conversations += 1
          const hello = wire.encodeConnect({
            clientId: `n${conversations % 7}`,
            clean,
            will: { topic: 'a', payload: 'will' },
          })
          const bytes = damages.reduce(damaged, Buffer.concat([hello, ...requests]))
          await converse(node, bytes)
        },
      ),
      { numRuns: 1_500, endOnFailure: true },
    )
    await witness.publish({ topic: 'witness/only', payload: 'still here', qos: 1 })
    const [message] = await witness.receive(1)
    expect(String(message?.payload)).toBe('still here')
    const reasons = node.closeReasons()
    expect(reasons.length).toBeGreaterThan(1_000)
    expect(reasons.filter((reason) => !BLAME.has(reason))).toEqual([])
    expect(node.logs().filter(({ level }) => level === 'error')).toEqual([])
  })
})
