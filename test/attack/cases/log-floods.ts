/** What would be lines of the log. */
import { encodePublish, encodeSubscribe } from '../../kit/wire-encoder.ts'
import type { AttackCase } from '../attack-case.ts'
import { many, nextName, stays, talks } from '../parties.ts'
import { grants } from './subscriptions.ts'

/** As long as client ids may be, so that each is another one all the same. */
const LONG_ID = 256
const DENIED_BYTES = 180_000

function publishes(topic: string): Buffer[] {
  const frame = encodePublish({ topic })
  return many(Math.floor(DENIED_BYTES / frame.length), () => frame)
}

export const logFloods: readonly AttackCase[] = [
  {
    name: 'denied publishes',
    sends: '180 KB of small QoS 0 publishes that the rules refuse, under a client id of 256 bytes',
    comparedWith: 'the same publishes where they are allowed',
    scene: 'alone',
    attack: stays({
      connect: { clientId: nextName().padEnd(LONG_ID, 'x') },
      frames: publishes('denied'),
    }),
    harmless: stays({ frames: publishes('free/a') }),
  },
  {
    name: 'long client ids',
    sends: 'CONNECT with a client id of 65,000 bytes, and 180 KB of publishes behind it',
    comparedWith: 'a CONNECT, and as many publishes that are allowed',
    scene: 'alone',
    attack: talks({
      connect: { clientId: 'x'.repeat(65_000) },
      frames: publishes('denied'),
    }),
    harmless: talks({ frames: publishes('free/a') }),
  },
  {
    name: 'denied filters',
    sends: 'one SUBSCRIBE with 12,000 filters that the rules refuse',
    comparedWith: 'SUBSCRIBEs of 100 filters of that length that are granted',
    scene: 'alone',
    attack: stays({
      frames: [
        encodeSubscribe(
          1,
          many(12_000, (index) => [`denied/${index + 10_000}`, 0]),
        ),
      ],
    }),
    harmless: grants({ filters: 1_000, length: 12, perPacket: 100 }),
  },
  {
    name: 'long denied filters',
    sends: 'one SUBSCRIBE with 60 filters of 4,000 bytes that the rules refuse',
    comparedWith: 'SUBSCRIBEs of 100 filters of 12 bytes that are granted',
    scene: 'alone',
    attack: stays({
      frames: [
        encodeSubscribe(
          1,
          many(60, (index) => [`denied/${index}/`.padEnd(4_000, 'x'), 0]),
        ),
      ],
    }),
    harmless: grants({ filters: 1_000, length: 12, perPacket: 100 }),
  },
]
