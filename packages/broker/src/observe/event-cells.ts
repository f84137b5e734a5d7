/** The counters that the hot path adds to, each series resolved once, when the node starts. */
import { type QoS, PacketType, packetTypeNames } from '@breakwater/mqtt'
import {
  FILTER_REFUSALS,
  READ_PAUSES,
  type Counter,
  type FilterRefusal,
  type Gauge,
  type Histogram,
  type ReadPause,
} from '@breakwater/metrics'
import {
  closeReasonIds,
  DROP_REASONS,
  type CloseReasonId,
  type DropReason,
} from '../connection/close-reason.ts'
import type { BrokerInstruments } from './instruments.ts'

export type Source = 'live' | 'queue' | 'retained'

/** One for each QoS. */
type PerQos<Value> = readonly [Value, Value, Value]

const PACKET_TYPES = Array.from({ length: 16 }, (_, type) => packetTypeNames[type])

export class EventCells {
  readonly received: PerQos<Counter>
  readonly delivered: Readonly<Record<Source, PerQos<Counter>>>
  /** By packet type, which starts at 1. */
  readonly packetsIn: readonly (Counter | undefined)[]
  readonly packetsOut: readonly (Counter | undefined)[]
  readonly writes: Counter
  readonly busIn: Counter
  readonly busOut: Counter
  readonly publishAck: readonly (Histogram | undefined)[]
  readonly filtersRefused: Readonly<Record<FilterRefusal, Counter>>
  readonly readPauses: Readonly<Record<ReadPause, Counter>>
  readonly #dropped: Readonly<Record<DropReason, PerQos<Counter>>>
  readonly #connack: readonly Counter[]
  readonly #open: ReadonlyMap<string, Gauge>
  readonly #reasons: ReadonlyMap<string, Readonly<Record<CloseReasonId, Counter>>>

  constructor(instruments: BrokerInstruments, listeners: readonly string[]) {
    const received = instruments.counter('messages_received_total')
    const delivered = instruments.counter('messages_delivered_total')
    const dropped = instruments.counter('messages_dropped_total')
    const closed = instruments.counter('connections_closed_total')
    const connack = instruments.counter('connack_total')
    const ack = instruments.histogram('publish_ack_duration_seconds')
    this.received = perQos((qos) => received.cell({ qos }))
    this.delivered = {
      live: perQos((qos) => delivered.cell({ qos, source: 'live' })),
      queue: perQos((qos) => delivered.cell({ qos, source: 'queue' })),
      retained: perQos((qos) => delivered.cell({ qos, source: 'retained' })),
    }
    this.#dropped = Object.fromEntries(
      DROP_REASONS.map((reason) => [reason, perQos((qos) => dropped.cell({ reason, qos }))]),
    ) as Record<DropReason, PerQos<Counter>>
    const refused = instruments.counter('filters_refused_total')
    this.filtersRefused = perReason(FILTER_REFUSALS, (reason) => refused.cell({ reason }))
    const pauses = instruments.counter('read_pauses_total')
    this.readPauses = perReason(READ_PAUSES, (reason) => pauses.cell({ reason }))
    this.packetsIn = packetCells(instruments, 'in')
    this.packetsOut = packetCells(instruments, 'out')
    const bus = instruments.counter('bus_messages_total')
    this.busIn = bus.cell({ direction: 'in' })
    this.busOut = bus.cell({ direction: 'out' })
    this.writes = instruments.counter('writes_total').cell()
    this.publishAck = [undefined, ack.cell({ qos: '1' }), ack.cell({ qos: '2' })]
    this.#connack = (['0', '1', '2', '3', '4', '5'] as const).map((code) => connack.cell({ code }))
    const open = instruments.gauge('connections')
    this.#open = new Map(listeners.map((listener) => [listener, open.cell({ listener })]))
    this.#reasons = new Map(
      listeners.map((listener) => [
        listener,
        Object.fromEntries(
          closeReasonIds.map((reason) => [reason, closed.cell({ listener, reason })]),
        ) as Record<CloseReasonId, Counter>,
      ]),
    )
  }

  dropped(reason: DropReason, qos: QoS, copies = 1): void {
    this.#dropped[reason][qos].add(copies)
  }

  /** Messages that another node did not get; of which QoS is not told. */
  busDropped(reason: 'inbox-full' | 'inbox-gone', messages: number): void {
    this.dropped(reason, 0, messages)
  }

  connackSent(code: number): void {
    this.#connack[code]?.add(1)
    this.packetsOut[PacketType.CONNACK]?.add(1)
  }

  protected countClose(listener: string, reason: CloseReasonId): void {
    this.#open.get(listener)?.add(-1)
    this.#reasons.get(listener)?.[reason].add(1)
  }
}

function packetCells(
  instruments: BrokerInstruments,
  direction: 'in' | 'out',
): readonly (Counter | undefined)[] {
  const packets = instruments.counter('packets_total')
  return PACKET_TYPES.map((type) => type && packets.cell({ direction, type }))
}

function perReason<Reason extends string>(
  reasons: readonly Reason[],
  make: (reason: Reason) => Counter,
): Readonly<Record<Reason, Counter>> {
  return Object.fromEntries(reasons.map((reason) => [reason, make(reason)])) as Record<
    Reason,
    Counter
  >
}

function perQos<Value>(make: (qos: '0' | '1' | '2') => Value): PerQos<Value> {
  return [make('0'), make('1'), make('2')]
}
