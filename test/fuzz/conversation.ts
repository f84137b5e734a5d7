/**
 * What a client says in one conversation: whole packets of every kind, most of them sound, then bytes changed,
 * cut out or doubled; how it is cut into writes; and what goes wrong below MQTT.
 */
import * as fc from 'fast-check'
import * as wire from '../kit/wire-encoder.ts'

export const TRANSPORTS = ['tcp', 'tls', 'ws', 'wss'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** Below MQTT, behind the first half of the bytes: most of the time nothing. */
const TROUBLES = [
  'none',
  'none',
  'none',
  'none',
  /** The connection is reset. */
  'reset',
  /** Bytes that are neither a TLS record, nor a WebSocket frame, nor MQTT. */
  'garbage',
  /** A text message; elsewhere as `garbage`. */
  'text',
  /** One message in several frames with a ping between them; elsewhere as `none`. */
  'fragments',
  /** Nothing of TLS or WebSocket: the bytes as they are. */
  'plain',
] as const
type Trouble = (typeof TROUBLES)[number]

export interface Conversation {
  readonly transport: Transport
  readonly bytes: Buffer
  /** Where the bytes are cut into writes, ascending. */
  readonly cuts: readonly number[]
  readonly trouble: Trouble
  readonly garbage: Buffer
}

const CLIENTS = 7
const packetId = fc.integer({ min: 1, max: 5 })
const topic = fc.constantFrom('a', 'a/b', '$SYS/x', 'ü', 'a/+', '#', '', '$share/g/a', '$share/g/#')
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
const hello = fc
  .record({ client: fc.nat(CLIENTS - 1), clean: fc.boolean(), old: fc.boolean() })
  .map(({ client, clean, old }) =>
    wire.encodeConnect({
      clientId: `n${client}`,
      clean,
      will: { topic: 'a', payload: 'will' },
      ...(old ? wire.MQTT_31 : {}),
    }),
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

/** Conversations over one transport. */
export function conversations(transport: Transport): fc.Arbitrary<Conversation> {
  return fc
    .record({
      first: hello,
      requests: fc.array(request, { maxLength: 8 }),
      damages: fc.array(damage, { maxLength: 3 }),
      cuts: fc.array(fc.nat(400), { maxLength: 3 }),
      trouble: fc.constantFrom(...TROUBLES),
      garbage: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    })
    .map(({ first, requests, damages, cuts, trouble, garbage }) => {
      const bytes = damages.reduce(damaged, Buffer.concat([first, ...requests]))
      const places = new Set(cuts.map((place) => place % (bytes.length + 1)))
      return {
        transport,
        bytes,
        cuts: [...places].toSorted((one, other) => one - other),
        trouble,
        garbage: Buffer.from(garbage),
      }
    })
}
