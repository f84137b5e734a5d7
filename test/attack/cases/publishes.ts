/** What PUBLISH can carry, and what follows it or does not. */
import {
  encodePingreq,
  encodePuback,
  encodePubcomp,
  encodePubrec,
  encodePublish,
  encodePubrel,
  encodeSubscribe,
} from '../../kit/wire-encoder.ts'
import type { AttackCase, Party, PartyMaker } from '../attack-case.ts'
import { Attacker } from '../attacker.ts'
import { crowdOf, many, nextName, stays, talks } from '../parties.ts'

/** Nearly `topicBytesMax`, in nearly `topicLevelsMax` levels. */
function longTopic(index: number): string {
  return `free/${index}/${'é'.repeat(20)}${'/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'.repeat(92)}`
}

/** A topic of this number of levels, of one character each except the last but one. */
function deepTopic(levels: number, index: number): string {
  return `free/${'a/'.repeat(levels - 3)}${index}/a`
}

/** 31 filters with as many levels, which part from the topics of `deepTopic` at their end. */
function deepFilters(levels: number): Buffer {
  const begin = `free/${'a/'.repeat(levels - 3)}`
  return encodeSubscribe(
    1,
    many(31, (index) => [`${begin.replace('a', '+')}+/b${index}`, 0]),
  )
}

const KILOBYTES = 'x'.repeat(100_000)

function unreleased(released: boolean): PartyMaker {
  return talks({
    frames: many(20, (index) => [
      encodePublish({ topic: 'free/q', qos: 2, packetId: index + 1, payload: KILOBYTES }),
      ...(released ? [encodePubrel(index + 1)] : []),
    ]).flat(),
  })
}

function retains(topicOf: (strike: number, index: number) => string): PartyMaker {
  return async ({ node }): Promise<Party> => {
    const attacker = await Attacker.connect(node.port, { clientId: nextName() })
    let strikes = 0
    return {
      async strike() {
        const before = attacker.bytes
        const frames = many(1_000, (index) =>
          encodePublish({
            topic: topicOf(strikes, index),
            payload: 'x'.repeat(1_000),
            retain: true,
          }),
        )
        strikes += 1
        attacker.send(...frames)
        await attacker.settled()
        return attacker.bytes - before
      },
      [Symbol.asyncDispose]: () => attacker[Symbol.asyncDispose](),
    }
  }
}

/** The strike is over when each of them has its PINGRESP. */
function pings(count: number): PartyMaker {
  return async ({ node }): Promise<Party> => {
    const attacker = await Attacker.connect(node.port, { clientId: nextName() })
    const frames = many(count, () => encodePingreq())
    return {
      async strike() {
        const before = { bytes: attacker.bytes, answers: attacker.count('pingresp') }
        attacker.send(...frames)
        await attacker.got('pingresp', before.answers + count)
        return attacker.bytes - before.bytes
      },
      [Symbol.asyncDispose]: () => attacker[Symbol.asyncDispose](),
    }
  }
}

/** Twenty subscribers, and a publisher that sends them 1 MB. */
function subscribers(reads: boolean): PartyMaker {
  return async ({ node }): Promise<Party> => {
    const topic = `free/${nextName()}`
    const frame = encodePublish({ topic, payload: 'x'.repeat(10_000) })
    const open = async (): Promise<Attacker> => {
      const attacker = await Attacker.connect(node.port, { clientId: nextName() })
      attacker.send(encodeSubscribe(1, [[topic, 0]]))
      await attacker.got('suback', 1)
      if (!reads) attacker.socket.pause()
      return attacker
    }
    const readers = await Promise.all(many(20, open))
    const publisher = await Attacker.connect(node.port, { clientId: nextName() })
    return {
      async strike() {
        const before = publisher.bytes
        publisher.send(...many(100, () => frame))
        await publisher.settled()
        if (reads) await Promise.all(readers.map((reader) => reader.settled()))
        return publisher.bytes - before
      },
      async [Symbol.asyncDispose]() {
        for (const reader of readers) reader.socket.destroy()
        await publisher[Symbol.asyncDispose]()
      },
    }
  }
}

const straySteps = many(7_000, (index) => [
  encodePubrec(index + 1),
  encodePubrel(index + 1),
  encodePubcomp(index + 1),
]).flat()
const smallest = talks({ frames: many(8_000, () => encodePublish({ topic: 'free/a' })) })

export const publishes: readonly AttackCase[] = [
  {
    name: 'long topics',
    sends: '500 QoS 0 publishes, each to another topic of 4 KB in 94 levels',
    comparedWith: 'as many bytes of publishes with topics of 40 bytes in 6 levels',
    scene: 'alone',
    attack: stays({ frames: many(500, (index) => encodePublish({ topic: longTopic(index) })) }),
    harmless: stays({
      frames: many(20_000, (index) =>
        encodePublish({
          topic: `free/site-${index % 10}/building/floor/device-${index}/on`,
          payload: 'x'.repeat(50),
        }),
      ),
    }),
  },
  {
    name: 'deepest topics',
    sends: '5,000 publishes in 100 levels, by a client with filters of as many levels',
    comparedWith: 'publishes of that size in 6 levels, by a client with filters of as many',
    scene: 'alone',
    // Each level is a step, and each byte is half a level.
    ratioMax: 8,
    attack: stays({
      before: [deepFilters(100)],
      frames: many(5_000, (index) => encodePublish({ topic: deepTopic(100, index) })),
    }),
    harmless: stays({
      before: [deepFilters(6)],
      frames: many(5_000, (index) =>
        encodePublish({ topic: deepTopic(6, index), payload: 'x'.repeat(188) }),
      ),
    }),
  },
  {
    name: 'unreleased QoS 2',
    sends: '10 connections with 20 QoS 2 publishes of 100 KB each, and no PUBREL',
    comparedWith: 'the same, with PUBREL',
    scene: 'alone',
    attack: crowdOf(10, unreleased(false)),
    harmless: crowdOf(10, unreleased(true)),
  },
  {
    name: 'retained flood',
    sends: 'retained messages of 1 KB, each to another topic',
    comparedWith: 'retained messages of 1 KB to 100 topics',
    scene: 'alone',
    attack: retains((strike, index) => `free/retained/${strike}/${index}`),
    harmless: retains((_strike, index) => `free/kept/${index % 100}`),
  },
  {
    name: 'subscribers that do not read',
    sends: '1 MB to 20 subscribers of its own that read nothing',
    comparedWith: '1 MB to 20 that read',
    scene: 'alone',
    attack: subscribers(false),
    harmless: subscribers(true),
  },
  {
    name: 'pings',
    sends: '16,000 PINGREQs at once, of 40 connections',
    comparedWith: 'as many bytes of the smallest publishes',
    scene: 'alone',
    attack: crowdOf(40, pings(400)),
    harmless: stays({ frames: many(3_200, () => encodePublish({ topic: 'free/a' })) }),
    // No other packet has two bytes: a publish has five times as many.
    ratioMax: 10,
  },
  {
    name: 'stray acknowledgements',
    sends: '20,000 PUBACKs of messages that were never sent',
    comparedWith: 'as many bytes of the smallest publishes',
    scene: 'alone',
    attack: talks({ frames: many(20_000, (index) => encodePuback(index + 1)) }),
    harmless: smallest,
  },
  {
    name: 'stray steps of QoS 2',
    sends: '21,000 PUBREC, PUBREL and PUBCOMP of messages that were never sent',
    comparedWith: 'as many bytes of the smallest publishes',
    scene: 'alone',
    attack: talks({ frames: straySteps }),
    harmless: smallest,
    // Half of the bytes of a publish, and a PUBREC is answered.
    ratioMax: 8,
  },
  {
    name: 'stray steps of QoS 2, stored',
    sends: '21,000 PUBREC, PUBREL and PUBCOMP of a persistent session without messages',
    comparedWith: 'as many bytes of the smallest publishes',
    scene: 'cluster',
    attack: talks({ connect: { clean: false }, frames: straySteps }),
    harmless: smallest,
    ratioMax: 8,
  },
]
