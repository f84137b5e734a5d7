import { expect, test } from 'vitest'
import { createPayload, PayloadOffset } from '../device/payload.ts'
import { seededRandom } from '../load/random.ts'
import { encodePublish } from './encoder.ts'
import type { Qos } from './packet.ts'
import { PublishSlab } from './publish-frame.ts'

const payloadOf = (bytes: number): Buffer =>
  createPayload({ bytes, runId: 0xc0ffee, publisher: 3, random: seededRandom(1) })

/** The same message from the plain encoder. */
const expected = (qos: Qos, bytes: number, sequence: number, packetId: number): Buffer => {
  const payload = payloadOf(bytes)
  payload.writeUInt32BE(sequence, PayloadOffset.sequence)
  payload.writeDoubleBE(1e9 + sequence, PayloadOffset.intendedUs)
  payload.writeUInt32BE(250, PayloadOffset.lagUs)
  return encodePublish({ topic: 'fleet/é/3', payload, qos, packetId })
}

const stage = (slab: PublishSlab, count: number, first: number): Buffer => {
  for (let n = first; n < first + count; n++) slab.stage(n, 1e9 + n, 1e9 + n + 250, (n % 9) + 1)
  return slab.take()
}

test.each<[Qos, number]>([
  [0, 28],
  [1, 64],
  [2, 1024],
])(
  'a PUBLISH of QoS %i and %i bytes that is patched equals an encoded one, also after growing',
  (qos, bytes) => {
    const slab = new PublishSlab({ topic: 'fleet/é/3', payload: payloadOf(bytes), qos })
    let next = 0
    for (const count of [1, 3, 2, 40, 1]) {
      const frames = Array.from({ length: count }, (_, n) =>
        expected(qos, bytes, next + n, ((next + n) % 9) + 1),
      )
      expect(stage(slab, count, next)).toEqual(Buffer.concat(frames))
      next += count
    }
  },
)

test('one write of simulated messages is at most 64 KiB or a single frame', () => {
  const small = new PublishSlab({ topic: 'a', payload: payloadOf(28), qos: 0 })
  expect(small.capacity * small.frameBytes).toBeLessThanOrEqual(65_536)
  expect(stage(small, small.capacity, 0)).toHaveLength(small.capacity * small.frameBytes)
  const large = new PublishSlab({ topic: 'a', payload: payloadOf(100_000), qos: 0 })
  expect(large.capacity).toBe(1)
})

test('a simulated message that is sent early has no lag', () => {
  const slab = new PublishSlab({ topic: 'a', payload: payloadOf(28), qos: 0 })
  slab.stage(0, 1000, 900, 0)
  const frame = slab.take()
  expect(frame.readUInt32BE(frame.length - 28 + PayloadOffset.lagUs)).toBe(0)
})
