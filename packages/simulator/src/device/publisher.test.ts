import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { CreditWindow } from './credit-window.ts'
import { Meter } from '../measure/meter.ts'
import { createPayload, PAYLOAD_HEADER_BYTES, PayloadOffset } from './payload.ts'
import { Publisher, type PublisherDrive } from './publisher.ts'
import { seededRandom } from '../load/random.ts'
import { Schedule } from '../load/schedule.ts'
import { FrameReader } from '../wire/frame-reader.ts'
import { PacketType, type Qos } from '../wire/packet.ts'

/** The far end of a connection that takes a write only when it is told to. */
class SlowPeer extends Duplex {
  readonly sequences: number[] = []
  writes = 0
  readonly #reader: FrameReader = new FrameReader()
  #take: (() => void) | undefined

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes += 1
    this.#take = () => {
      // Read now, as a kernel with a full buffer would: what was changed since then is wrong.
      this.#reader.push(chunk, chunk.length, {
        onFrame: (_, bytes, __, end) => {
          const at = end - PAYLOAD_HEADER_BYTES + PayloadOffset.sequence
          this.sequences.push(bytes.readUInt32BE(at))
        },
      })
      done()
    }
  }

  /** Takes the write that waits and lets the publisher go on. */
  async takeWrite(): Promise<void> {
    this.#take?.()
    this.#take = undefined
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  }
}

const count = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, n) => from + n)

const start = (
  drive: PublisherDrive,
  qos: Qos = 0,
): { readonly publisher: Publisher; readonly peer: SlowPeer; readonly meter: Meter } => {
  const meter = new Meter()
  const random = seededRandom(1)
  const payload = createPayload({ bytes: PAYLOAD_HEADER_BYTES, runId: 1, publisher: 0, random })
  const options = { index: 0, topic: 'a', payload, qos, retain: false, inflight: 4, meter, drive }
  const publisher = new Publisher(options)
  const peer = new SlowPeer()
  publisher.attach(peer)
  publisher.start(0)
  return { publisher, peer, meter }
}

const paced = (): PublisherDrive => {
  const schedule = new Schedule({ sources: 1, ratePerSecond: 1000, random: seededRandom(1) })
  schedule.begin(0)
  return { schedule }
}

const release = (publisher: Publisher, messages: number): void => {
  for (let n = 0; n < messages; n++) publisher.release()
  publisher.dispatch(1_000_000)
}

test('messages that become due during a write wait, and are sent in one write after it', async () => {
  const { publisher, peer, meter } = start(paced())
  release(publisher, 2)
  release(publisher, 3)
  release(publisher, 4)
  expect([peer.writes, publisher.sequence, publisher.waiting]).toEqual([1, 2, 7])
  expect(meter.heldBack).toBe(7)
  await peer.takeWrite()
  await peer.takeWrite()
  expect(peer.writes).toBe(2)
  expect(peer.sequences).toEqual(count(0, 9))
  expect(publisher.waiting).toBe(0)
})

test('the lag of a simulated message is measured at its turn, not at the socket', () => {
  const { publisher, meter } = start(paced())
  meter.fromUs = 0
  release(publisher, 2)
  release(publisher, 2)
  expect(meter.lag.count).toBe(4)
})

test('a simulated publisher with a full window waits until a message is acknowledged', async () => {
  const { publisher, peer, meter } = start(paced(), 1)
  release(publisher, 6)
  await peer.takeWrite()
  expect([peer.sequences, publisher.waiting]).toEqual([count(0, 4), 2])
  publisher.acknowledge(PacketType.puback, 2, 0) // of the second: the first one's id is taken
  publisher.pump(0)
  await peer.takeWrite()
  expect(peer.sequences).toEqual(count(0, 4))
  publisher.acknowledge(PacketType.puback, 1, 0)
  publisher.pump(0)
  await peer.takeWrite()
  expect(peer.sequences).toEqual(count(0, 6))
  expect([meter.sent, meter.acknowledged]).toEqual([6, 2])
})

test('a saturated publisher sends its window at once, and refills it by halves', async () => {
  const drive = { window: new CreditWindow(8, 1), creditSource: 'delivery' } as const
  const { publisher, peer } = start(drive)
  await peer.takeWrite()
  expect(peer.sequences).toEqual(count(0, 8))
  expect(publisher.credit(0, 3)).toBe(false)
  publisher.pump(0)
  expect(peer.writes).toBe(1)
  expect(publisher.credit(3, 4)).toBe(true)
  publisher.pump(0)
  await peer.takeWrite()
  expect(peer.sequences).toEqual(count(0, 12))
})

test('a simulated publisher that is stopped or not connected sends nothing', () => {
  const { publisher, peer } = start(paced())
  publisher.attach(undefined)
  release(publisher, 1)
  publisher.attach(peer)
  publisher.stop()
  publisher.pump(0)
  expect([peer.writes, publisher.waiting]).toEqual([0, 1])
})
