/** What a client can leave in Redis, and what it costs to look at it again; with a second node in the cluster. */
import {
  encodePublish,
  encodePubrel,
  encodeSubscribe,
  encodeUnsubscribe,
} from '../../kit/wire-encoder.ts'
import type { AttackCase, Party, PartyMaker } from '../attack-case.ts'
import { Attacker } from '../attacker.ts'
import { crowdOf, eachTime, many, nextName, stays, talks } from '../parties.ts'
import { behindFilters, grants } from './subscriptions.ts'

/** Persistent sessions with one filter, all of one user, and a publisher; each strike is 20 publishes of 5 KB. */
function publishesTo(sessions: number): PartyMaker {
  return async (scene): Promise<Party> => {
    const { node } = scene
    const topic = `free/${nextName()}`
    for (let made = 0; made < sessions; made += 20)
      await Promise.all(
        many(Math.min(20, sessions - made), async () => {
          const connect = { clientId: nextName(), clean: false }
          await using device = await Attacker.connect(node.port, connect)
          device.send(encodeSubscribe(1, [[topic, 1]]))
          await device.got('suback', 1)
        }),
      )
    return stays({
      frames: many(20, (index) =>
        encodePublish({ topic, qos: 1, packetId: index + 1, payload: 'x'.repeat(5_000) }),
      ),
    })(scene)
  }
}

/** A session with this number of bytes of filters is resumed; the node has to process its filters. */
function resumes(filters: number, length: number): PartyMaker {
  return async ({ node }): Promise<Party> => {
    const connect = { clientId: nextName(), clean: false }
    const first = await Attacker.connect(node.port, connect)
    for (let index = 0; index < filters; index += 20)
      first.send(
        encodeSubscribe(
          index + 1,
          many(20, (each) => [`free/${index + each}/`.padEnd(length, 'x'), 0]),
        ),
      )
    await first.settled()
    await first[Symbol.asyncDispose]()
    return {
      async strike() {
        for (let count = 0; count < 5; count += 1) {
          await using again = await Attacker.connect(node.port, connect)
          await again.settled()
        }
        return 5 * filters * length
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
  }
}

/** A member of this number of shared groups with one filter; each strike is 50 small publishes that match it. */
function inGroups(groups: number): PartyMaker {
  const topic = `free/shared-${groups}`
  return stays({
    connect: { clientId: `groups-${groups}` },
    before: many(Math.ceil(groups / 20), (packet) =>
      encodeSubscribe(
        packet + 1,
        many(Math.min(20, groups), (index) => [`$share/g${packet * 20 + index}/${topic}`, 1]),
      ),
    ),
    frames: many(50, (index) =>
      encodePublish({ topic, qos: 1, packetId: index + 1, payload: 'x'.repeat(200) }),
    ),
  })
}

const KILOBYTES = 'x'.repeat(100_000)

function unreleased(released: boolean): PartyMaker {
  return talks({
    connect: { clean: false },
    frames: many(20, (index) => [
      encodePublish({ topic: 'free/q', qos: 2, packetId: index + 1, payload: KILOBYTES }),
      ...(released ? [encodePubrel(index + 1)] : []),
    ]).flat(),
  })
}

const HEAVY: readonly Buffer[] = [
  encodeSubscribe(
    1,
    many(6_400, (index) => [`free/${index + 100_000}`, 1]),
  ),
  encodeSubscribe(
    2,
    many(7_000, () => ['free/again', 1]),
  ),
  encodeSubscribe(
    3,
    many(400, (index) => [`free/${'+/'.repeat(96)}${index + 100_000}`, 1]),
  ),
  encodeSubscribe(
    4,
    many(4_500, (index) => [`$share/${index}/free/a`, 1]),
  ),
  encodeUnsubscribe(
    5,
    many(6_900, (index) => `free/${index + 100_000}`),
  ),
  encodeUnsubscribe(
    6,
    many(7_000, () => 'free/again'),
  ),
]

/** Of a persistent session. */
const heavyPackets: PartyMaker = eachTime(async ({ node, random }) => {
  const connect = { clientId: nextName(), clean: false }
  await using attacker = await Attacker.connect(node.port, connect)
  attacker.send(...many(8, () => random.pick(HEAVY)))
  await attacker.settled()
  return attacker.bytes
})

export const stored: readonly AttackCase[] = [
  {
    name: 'many filters in a cluster',
    sends: 'one SUBSCRIBE of 108 KB with 7,700 short filters, more than a client may have',
    comparedWith: 'SUBSCRIBEs of 100 filters of 12 bytes that are granted',
    scene: 'cluster',
    attack: talks({
      frames: [
        encodeSubscribe(
          1,
          many(7_700, (index) => [`free/${index + 100_000}`, 0]),
        ),
      ],
    }),
    harmless: grants({ filters: 1_000, length: 12, perPacket: 100 }),
  },
  {
    name: 'heavy packets',
    sends: 'eight packets of 90 KB at once, drawn: of many, repeated, unknown and deep filters',
    comparedWith: 'SUBSCRIBEs of 100 filters of 12 bytes that are granted',
    scene: 'cluster',
    attack: heavyPackets,
    harmless: grants({ filters: 1_000, length: 12, perPacket: 100 }),
  },
  {
    name: 'long filters, stored',
    sends:
      '60 filters of 4,000 bytes of a persistent session, then SUBSCRIBEs with one short filter',
    comparedWith: 'the same SUBSCRIBEs behind 60 short filters',
    scene: 'cluster',
    attack: behindFilters(4_000, false),
    harmless: behindFilters(12, false),
  },
  {
    name: 'resumed long filters',
    sends: 'a session with 60 filters of 4,000 bytes comes back again and again',
    comparedWith: 'a session with 1,000 filters of 240 bytes',
    scene: 'cluster',
    attack: resumes(60, 4_000),
    harmless: resumes(1_000, 240),
  },
  {
    name: 'sessions of one user',
    sends: 'QoS 1 publishes of 5 KB to 100 sessions of their publisher that are away',
    comparedWith: 'the same publishes to 50 sessions',
    scene: 'cluster',
    // The n-th of 150 sessions may have an n-th of `queueBytesPerUserMax`: 360 MiB, and what Redis adds.
    redisMibMax: 512,
    attack: publishesTo(100),
    harmless: publishesTo(50),
  },
  {
    name: 'shared groups',
    sends: 'QoS 1 publishes of 200 bytes to 1,000 shared groups with the publisher in each',
    comparedWith: 'the same publishes to one shared group with the publisher in it',
    scene: 'cluster',
    // Each group has a copy: `sharedGroupsPerClientMax` of them.
    ratioMax: 16,
    attack: inGroups(1_000),
    harmless: inGroups(1),
  },
  {
    name: 'unreleased QoS 2, stored',
    sends: '2 connections with 20 QoS 2 publishes of 100 KB each, and no PUBREL',
    comparedWith: 'the same, with PUBREL',
    scene: 'cluster',
    attack: crowdOf(2, unreleased(false)),
    harmless: crowdOf(2, unreleased(true)),
  },
  {
    name: 'retained flood, stored',
    sends: 'retained messages of 5 KB, each to another topic',
    comparedWith: 'retained messages of 5 KB to 100 topics',
    scene: 'cluster',
    // `retainedBytesPerUserMax` is half of it.
    redisMibMax: 256,
    attack: (scene) => retains(() => `free/retained/${nextName()}`)(scene),
    harmless: (scene) => {
      let count = 0
      return retains(() => `free/kept/${(count += 1) % 100}`)(scene)
    },
  },
]

function retains(topic: () => string): PartyMaker {
  return async ({ node }): Promise<Party> => {
    const attacker = await Attacker.connect(node.port, { clientId: nextName() })
    return {
      async strike() {
        const before = attacker.bytes
        const payload = 'x'.repeat(5_000)
        attacker.send(
          ...many(200, (index) =>
            encodePublish({ topic: topic(), qos: 1, packetId: index + 1, payload, retain: true }),
          ),
        )
        await attacker.settled()
        return attacker.bytes - before
      },
      [Symbol.asyncDispose]: () => attacker[Symbol.asyncDispose](),
    }
  }
}
