/** What SUBSCRIBE and UNSUBSCRIBE can carry. */
import { encodePublish, encodeSubscribe, encodeUnsubscribe } from '../../kit/wire-encoder.ts'
import type { AttackCase, PartyMaker } from '../attack-case.ts'
import { many, stays, talks } from '../parties.ts'

interface Grant {
  readonly filters: number
  readonly length: number
  readonly perPacket: number
  readonly clean?: boolean
}

function filterOf(index: number, length: number): string {
  return `free/${index}/`.padEnd(length, 'x')
}

function subscribes({ filters, length, perPacket }: Grant): Buffer[] {
  return many(Math.ceil(filters / perPacket), (packet) =>
    encodeSubscribe(
      packet + 1,
      many(perPacket, (index) => [filterOf(packet * perPacket + index, length), 0]),
    ),
  )
}

/** A client that subscribes to what it may, and to no more than it may. */
export function grants(grant: Grant): PartyMaker {
  return talks({ frames: subscribes(grant) })
}

const SMALL: Grant = { filters: 1_000, length: 12, perPacket: 100 }
const granted = 'SUBSCRIBEs of 100 filters of 12 bytes that are granted'

/** All 32 of five levels, of which each matches `free/a/b/c/d/e`. */
const SHAPES = many(32, (bits) => {
  const levels = ['a', 'b', 'c', 'd', 'e']
  return `free/${levels.map((level, index) => ((bits >> index) & 1 ? '+' : level)).join('/')}`
})
const matched = encodePublish({ topic: 'free/a/b/c/d/e', payload: 'x'.repeat(100) })

export const subscriptions: readonly AttackCase[] = [
  {
    name: 'many filters',
    sends: 'SUBSCRIBEs of 80 KB with 5,700 short filters, more than a client may have',
    comparedWith: granted,
    scene: 'alone',
    attack: talks({
      frames: many(3, (packet) =>
        encodeSubscribe(
          packet + 1,
          many(5_700, (index) => [`free/${packet}${index + 1_000}`, 0]),
        ),
      ),
    }),
    harmless: grants(SMALL),
  },
  {
    name: 'repeated filters',
    sends: 'one SUBSCRIBE with one filter 12,000 times',
    comparedWith: granted,
    scene: 'alone',
    attack: talks({
      frames: [
        encodeSubscribe(
          1,
          many(12_000, () => ['free/again', 0]),
        ),
      ],
    }),
    harmless: grants(SMALL),
  },
  {
    name: 'filters of ever-new shapes',
    sends: 'one SUBSCRIBE with 4,000 filters, each with its wildcards at other places',
    comparedWith: granted,
    scene: 'alone',
    attack: talks({
      frames: [
        encodeSubscribe(
          1,
          many(4_000, (bits) => [
            `free/${many(12, (level) => ((bits >> level) & 1 ? '+' : 'x')).join('/')}`,
            0,
          ]),
        ),
      ],
    }),
    harmless: grants(SMALL),
  },
  {
    name: 'long filters',
    sends: '60 filters of 4,000 bytes, then SUBSCRIBEs with one short filter',
    comparedWith: 'the same SUBSCRIBEs behind 60 short filters',
    scene: 'alone',
    attack: behindFilters(4_000, true),
    harmless: behindFilters(12, true),
  },
  {
    name: 'unknown filters',
    sends: 'UNSUBSCRIBE of 16,000 filters that the client does not have',
    comparedWith: granted,
    scene: 'alone',
    attack: stays({
      frames: [
        encodeUnsubscribe(
          1,
          many(16_000, (index) => `free/${index + 10_000}`),
        ),
      ],
    }),
    harmless: grants(SMALL),
  },
  {
    name: 'overlapping filters',
    sends: '10,000 small publishes, each of which matches 32 filters of its publisher',
    comparedWith: 'the same publishes, which match one filter of their publisher',
    scene: 'alone',
    attack: stays({
      before: [
        encodeSubscribe(
          1,
          SHAPES.map((filter) => [filter, 0]),
        ),
      ],
      frames: many(1_000, () => matched),
    }),
    harmless: stays({
      before: [encodeSubscribe(1, [['free/a/b/c/d/e', 0]])],
      frames: many(1_000, () => matched),
    }),
  },
]

/** Small SUBSCRIBEs of a session that has 60 filters of this length. */
export function behindFilters(length: number, clean: boolean): PartyMaker {
  return (scene) =>
    stays({
      connect: { clean, clientId: `behind-${clean}-${length}` },
      before: subscribes({ filters: 60, length, perPacket: 20 }),
      frames: many(30, (index) => encodeSubscribe(index + 1, [[filterOf(index, 12), 0]])),
    })(scene)
}
