/**
 * The receiving half of a device: reads the payload header in place, enters the message in the
 * ledger, records its latency. Nothing is allocated per message.
 */
import { Arrival, type Ledger, type Track } from '../measure/ledger.ts'
import type { Meter } from '../measure/meter.ts'
import { PAYLOAD_HEADER_BYTES, PAYLOAD_MAGIC, PayloadOffset, readU32 } from './payload.ts'
import type { Publisher, PumpQueue } from './publisher.ts'
import { WireError, type Qos } from '../wire/packet.ts'

export interface SubscriberOptions {
  readonly filter: string
  readonly ledger: Ledger
  readonly meter: Meter
  /** Only messages of this run count; undefined: of any run. */
  readonly runId: number | undefined
  /** Length that a payload of this run must have; undefined: any. */
  readonly payloadBytes: number | undefined
  /** Closed loop: who gets credit for a delivery, by publisher index. */
  readonly credited: readonly Publisher[] | undefined
  readonly pumps: PumpQueue
}

const PACKET_ID_BYTES = 65_536 / 8

export class Subscriber {
  readonly filter: string
  readonly ledger: Ledger
  readonly #meter: Meter
  readonly #runId: number | undefined
  readonly #payloadBytes: number | undefined
  readonly #credited: readonly Publisher[] | undefined
  readonly #pumps: PumpQueue
  #unreleased: Uint8Array | undefined // QoS 2 packet ids between PUBREC and PUBREL, one bit each

  constructor(options: SubscriberOptions) {
    this.filter = options.filter
    this.ledger = options.ledger
    this.#meter = options.meter
    this.#runId = options.runId
    this.#payloadBytes = options.payloadBytes
    this.#credited = options.credited
    this.#pumps = options.pumps
  }

  /** Takes the body of a PUBLISH; returns its packet id, 0 for QoS 0. */
  receive(firstByte: number, bytes: Buffer, start: number, end: number, now: number): number {
    const qos = ((firstByte >> 1) & 3) as Qos | 3
    if (qos === 3) throw new WireError('PUBLISH with QoS 3') // [MQTT-3.3.1-4]
    const topicEnd = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!)
    const at = qos === 0 ? topicEnd : topicEnd + 2
    if (at > end) throw new WireError('PUBLISH shorter than its topic')
    if (qos === 0) {
      this.#enter(firstByte, qos, bytes, at, end, now)
      return 0
    }
    const packetId = (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!
    if (packetId === 0) throw new WireError('PUBLISH with packet id 0') // [MQTT-2.3.1-1]
    // Sent again before PUBREL: it is the same message [MQTT-4.3.3-2].
    if (qos === 1 || this.#claim(packetId)) this.#enter(firstByte, qos, bytes, at, end, now)
    return packetId
  }

  /** PUBREL: the packet id may be used for another message. */
  release(packetId: number): void {
    if (this.#unreleased === undefined) return
    this.#unreleased[packetId >> 3]! &= ~(1 << (packetId & 7))
  }

  #claim(packetId: number): boolean {
    this.#unreleased ??= new Uint8Array(PACKET_ID_BYTES)
    const bit = 1 << (packetId & 7)
    if ((this.#unreleased[packetId >> 3]! & bit) !== 0) return false
    this.#unreleased[packetId >> 3]! |= bit
    return true
  }

  #enter(firstByte: number, qos: Qos, bytes: Buffer, at: number, end: number, now: number): void {
    const meter = this.#meter
    meter.received += 1
    meter.receivedBytes += end - at
    if ((firstByte & 1) === 1) {
      meter.retained += 1 // replayed by a subscription: says nothing about loss or latency
      return
    }
    if (end - at < PAYLOAD_HEADER_BYTES || readU32(bytes, at) !== PAYLOAD_MAGIC) {
      meter.foreign += 1
      return
    }
    const runId = readU32(bytes, at + PayloadOffset.runId)
    if (this.#runId !== undefined && runId !== this.#runId) {
      meter.foreign += 1
      return
    }
    if (this.#payloadBytes !== undefined && end - at !== this.#payloadBytes) meter.corrupt += 1
    const publisher = readU32(bytes, at + PayloadOffset.publisher)
    const sequence = readU32(bytes, at + PayloadOffset.sequence)
    const track = this.ledger.track(runId, publisher, sequence)
    if (track === undefined) {
      meter.misrouted += 1
      return
    }
    this.#account(track, publisher, sequence, qos)
    const intendedUs = bytes.readDoubleBE(at + PayloadOffset.intendedUs)
    if (meter.measures(intendedUs)) {
      const latencyUs = now - intendedUs
      meter.endToEnd.record(latencyUs)
      meter.transit.record(latencyUs - readU32(bytes, at + PayloadOffset.lagUs))
    }
  }

  #account(track: Track, publisher: number, sequence: number, qos: Qos): void {
    const before = track.next
    const received = track.received
    const arrival = track.accept(sequence)
    this.#meter.delivered += track.received - received
    if (arrival === Arrival.late) this.#meter.outOfOrder += 1
    else if (arrival === Arrival.duplicate) this.#meter.duplicates[qos] += 1
    if (this.#credited === undefined || track.next === before) return
    const credited = this.#credited[publisher]!
    if (credited.credit(before, track.next)) this.#pumps.add(credited)
  }
}
