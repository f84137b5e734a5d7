/*
 * The parsers of the broker against the encoders of the kit, which are independent of each other: a packet that is
 * written is read back, and a packet that is read from arbitrary bytes encodes to exactly those bytes.
 */
import * as fc from 'fast-check'
import { Message } from '@breakwater/bus'
import type { QoS } from '@breakwater/mqtt'
import { limitsWith } from '@breakwater/config'
import { describe, expect, it } from 'vitest'
import { readConnect } from '@breakwater/mqtt'
import { encodeSuback, encodeSubscribe, encodeUnsubscribe } from '@breakwater/mqtt'
import { encodePublish } from '@breakwater/mqtt'
import { readSubscribe, readUnsubscribe } from '@breakwater/mqtt'
import { readUtf8 } from '@breakwater/mqtt'
import { WireDecoder } from '../kit/wire-decoder.ts'
import * as wire from '../kit/wire-encoder.ts'

const NO_OPTIONS = { noLocal: false, retainAsPublished: false, retainHandling: 0 }
const LIMITS = { ...limitsWith(), protocolLevelMax: 4 } as const

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of these bytes as MQTT allows it, decided by the platform's decoder. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = strict.decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

const text = fc
  .string({ unit: 'binary', maxLength: 90 })
  .filter((value) => textOf(Buffer.from(value)) === value)
const topic = text.map((value) => `t${value.replaceAll(/[+#]/gu, '-')}`)
const filter = text.map((value) => `t${value}`)
const packetId = fc.integer({ min: 1, max: 65_535 })
const qos = fc.constantFrom<QoS>(0, 1, 2)
const bytes = fc.uint8Array({ maxLength: 120 })
const noise = fc.uint8Array({ maxLength: 8 })

/** The body of a frame of the kit, with other bytes in front of it and behind it. */
function within(frame: Buffer, before: Uint8Array, after: Uint8Array): [Buffer, number, number] {
  let headerBytes = 2
  while ((frame[headerBytes - 1] ?? 0) > 127) headerBytes += 1
  const body = frame.subarray(headerBytes)
  const buffer = Buffer.concat([before, body, after])
  return [buffer, before.length, before.length + body.length]
}

/** As a CONNECT of MQTT 3.1.1 has it. */
function willOf(will: Will) {
  const { topic: name, payload, qos: level, retain } = messageOf(will)
  const message = { topic: name, payload, qos: level, retain }
  return { ...message, delayS: 0, expiryS: undefined, properties: undefined }
}

interface Will {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QoS
  readonly retain: boolean
}

const messageOf = (will: Will): Message =>
  new Message(will.topic, Buffer.from(will.payload), will.qos, will.retain)

describe('a packet that the test kit writes is read by the broker:', () => {
  const will = fc.record(
    { topic, payload: bytes, qos, retain: fc.boolean() },
    { requiredKeys: ['topic', 'payload', 'qos', 'retain'] },
  )
  const connect = fc.record(
    {
      clientId: text.map((value) => `c${value}`),
      clean: fc.boolean(),
      keepAliveSeconds: fc.nat(65_535),
      will,
      credentials: fc.record({ username: text, password: bytes }, { requiredKeys: ['username'] }),
    },
    { requiredKeys: ['clientId', 'clean', 'keepAliveSeconds'] },
  )

  it('CONNECT', () => {
    fc.assert(
      fc.property(connect, noise, noise, ({ credentials, ...fields }, before, after) => {
        const frame = wire.encodeConnect({ ...fields, ...credentials })
        expect(readConnect(...within(frame, before, after), LIMITS)).toEqual({
          protocolLevel: 4,
          clean: fields.clean,
          sessionExpiryS: fields.clean ? 0 : undefined,
          properties: undefined,
          keepAliveS: fields.keepAliveSeconds,
          clientId: fields.clientId,
          username: credentials?.username,
          password: credentials?.password && Buffer.from(credentials.password),
          will: fields.will && willOf(fields.will),
        })
      }),
    )
  })

  it('SUBSCRIBE and UNSUBSCRIBE, which the broker writes in the same bytes', () => {
    const requests = fc.array(fc.record({ filter, qos }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(packetId, requests, noise, noise, (id, wanted, before, after) => {
        const subscribe = wire.encodeSubscribe(
          id,
          wanted.map((request) => [request.filter, request.qos] as const),
        )
        expect(readSubscribe(...within(subscribe, before, after), 4)).toEqual({
          packetId: id,
          requests: wanted.map((request) => ({ ...request, ...NO_OPTIONS })),
          subscriptionId: 0,
        })
        expect(encodeSubscribe(id, wanted)).toEqual(subscribe)
        const filters = wanted.map((request) => request.filter)
        const unsubscribe = wire.encodeUnsubscribe(id, filters)
        expect(readUnsubscribe(...within(unsubscribe, before, after), 4)).toEqual({
          packetId: id,
          filters,
        })
        expect(encodeUnsubscribe(id, filters)).toEqual(unsubscribe)
      }),
    )
  })
})

describe('a packet that the broker writes is read by the test kit:', () => {
  it('PUBLISH of any size', () => {
    const payload = fc.oneof(
      { weight: 5, arbitrary: bytes },
      {
        weight: 1,
        arbitrary: fc.integer({ min: 100, max: 17_000 }).map((n) => Buffer.alloc(n, n)),
      },
    )
    fc.assert(
      fc.property(
        topic,
        payload,
        qos,
        fc.boolean(),
        packetId,
        (name, content, level, retain, id) => {
          const message = new Message(name, Buffer.from(content), 2, true)
          const { bytes: frame, packetIdOffset } = encodePublish(message, level, retain)
          if (level > 0) frame.writeUInt16BE(id, packetIdOffset)
          expect(new WireDecoder().push(frame)).toEqual([
            {
              type: 'publish',
              dup: false,
              qos: level,
              retain,
              topic: name,
              topicBytes: Buffer.from(name),
              packetId: level > 0 ? id : 0,
              payload: Buffer.from(content),
            },
          ])
        },
      ),
      { numRuns: 500 },
    )
  })

  it('SUBACK', () => {
    const codes = fc.array(fc.constantFrom(0, 1, 2, 0x80), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(packetId, codes, (id, returnCodes) => {
        expect(new WireDecoder().push(encodeSuback(id, returnCodes))).toEqual([
          { type: 'suback', packetId: id, returnCodes },
        ])
      }),
    )
  })
})

describe('any sequence of bytes', () => {
  const field = (content: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
    content.map((value) => wire.field(value))
  /** Pieces that look like fields, so that parsers get past the first of them. */
  const pieces = fc
    .array(
      fc.oneof(
        noise,
        field(noise),
        field(text.map((value) => Buffer.from(value))),
        fc.constantFrom(
          ...[[0, 4, 77, 81, 84, 84], [4], [2], [0, 60], [0xc2], [0], [1], [0, 1]].map((piece) =>
            Uint8Array.from(piece),
          ),
        ),
      ),
      { maxLength: 8 },
    )
    .map((parts) => Buffer.concat(parts))

  it('is UTF-8 text for the broker exactly if the platform decodes it', () => {
    const nearlyText = fc
      .tuple(fc.string({ unit: 'binary', maxLength: 80 }), fc.nat(), fc.nat(255), fc.boolean())
      .map(([value, place, byte, isChanged]) => {
        const changed = Buffer.from(value)
        if (isChanged && changed.length > 0) changed[place % changed.length] = byte
        return changed
      })
    fc.assert(
      fc.property(fc.oneof(bytes, nearlyText), (value) => {
        expect(readUtf8(Buffer.from(value), 0, value.length)).toBe(textOf(value))
      }),
      { numRuns: 3_000 },
    )
  })

  it('is read as a SUBSCRIBE only if that SUBSCRIBE encodes to the same bytes', () => {
    fc.assert(
      fc.property(pieces, noise, (body, after) => {
        const read = readSubscribe(Buffer.concat([body, after]), 0, body.length, 4)
        if (typeof read === 'string') return
        const { packetId: id, requests } = read
        expect(within(encodeSubscribe(id, requests), Buffer.alloc(0), Buffer.alloc(0))[0]).toEqual(
          body,
        )
      }),
      { numRuns: 3_000 },
    )
  })

  it('is read as an UNSUBSCRIBE only if that UNSUBSCRIBE encodes to the same bytes', () => {
    fc.assert(
      fc.property(pieces, noise, (body, after) => {
        const read = readUnsubscribe(Buffer.concat([body, after]), 0, body.length, 4)
        if (typeof read === 'string') return
        const { packetId: id, filters } = read
        expect(within(encodeUnsubscribe(id, filters), Buffer.alloc(0), Buffer.alloc(0))[0]).toEqual(
          body,
        )
      }),
      { numRuns: 3_000 },
    )
  })

  it('is read as a CONNECT or a fault, and never throws an exception', () => {
    const reasons = new Set<unknown>([
      'malformed',
      'protocol-error',
      'unsupported-version',
      'client-id-invalid',
      'username-too-long',
      'topic-too-long',
    ])
    fc.assert(
      fc.property(fc.boolean(), pieces, noise, (isMqtt, tail, after) => {
        const head = isMqtt ? Buffer.from([0, 4, 77, 81, 84, 84, 4]) : Buffer.alloc(0)
        const body = Buffer.concat([head, tail])
        const read = readConnect(Buffer.concat([body, after]), 0, body.length, LIMITS)
        if (typeof read === 'string') expect(reasons).toContain(read)
        else expect(read.clientId !== '' || read.clean).toBe(true)
      }),
      { numRuns: 5_000 },
    )
  })
})
