/** The counters that the hot path adds to, each series resolved once, when the node starts. */
import { type QoS, PacketType, packetTypeNames } from '@breakwater/mqtt'
import type { Cell, HistogramCell } from '@breakwater/metrics'
import {
  closeReasonIds,
  DROP_REASONS,
  type CloseReasonId,
  type DropReason,
} from '../connection/close-reason.ts'
import type { BrokerInstruments } from './instruments.ts'

export type Source = 'live' | 'queue' | 'retained'

const QOS = ['0', '1', '2'] as const
const PACKET_TYPES = Array.from({ length: 16 }, (_, type) => packetTypeNames[type])

export class EventCells {
  readonly received: readonly Cell[]
  readonly delivered: Readonly<Record<Source, readonly Cell[]>>
  readonly packetsIn: readonly Cell[]
  readonly packetsOut: readonly Cell[]
  readonly writes: Cell
  readonly busIn: Cell
  readonly busOut: Cell
  readonly publishAck: readonly (HistogramCell | undefined)[]
  readonly #dropped: Readonly<Record<DropReason, readonly Cell[]>>
  readonly #connack: readonly Cell[]
  readonly #open: ReadonlyMap<string, Cell>
  readonly #reasons: ReadonlyMap<string, Readonly<Record<CloseReasonId, Cell>>>

  constructor(instruments: BrokerInstruments, listeners: readonly string[]) {
    const received = instruments.counter('messages_received_total')
    const delivered = instruments.counter('messages_delivered_total')
    const dropped = instruments.counter('messages_dropped_total')
    const closed = instruments.counter('connections_closed_total')
    const connack = instruments.counter('connack_total')
    const ack = instruments.histogram('publish_ack_duration_seconds')
    this.received = QOS.map((qos) => received.cell({ qos }))
    this.delivered = {
      live: QOS.map((qos) => delivered.cell({ qos, source: 'live' })),
      queue: QOS.map((qos) => delivered.cell({ qos, source: 'queue' })),
      retained: QOS.map((qos) => delivered.cell({ qos, source: 'retained' })),
    }
    this.#dropped = Object.fromEntries(
      DROP_REASONS.map((reason) => [reason, QOS.map((qos) => dropped.cell({ reason, qos }))]),
    ) as unknown as Record<DropReason, readonly Cell[]>
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
        ) as Record<CloseReasonId, Cell>,
      ]),
    )
  }

  dropped(reason: DropReason, qos: QoS, copies = 1): void {
    ;(this.#dropped[reason][qos] as Cell).value += copies
  }

  /** Messages that another node did not get; of which QoS is not told. */
  busDropped(reason: 'inbox-full' | 'inbox-gone', messages: number): void {
    this.dropped(reason, 0, messages)
  }

  connackSent(code: number): void {
    const cell = this.#connack[code]
    if (cell !== undefined) cell.value += 1
    ;(this.packetsOut[PacketType.CONNACK] as Cell).value += 1
  }

  protected countClose(listener: string, reason: CloseReasonId): void {
    const open = this.#open.get(listener)
    if (open !== undefined) open.value -= 1
    const cells = this.#reasons.get(listener)
    if (cells !== undefined) cells[reason].value += 1
  }
}

function packetCells(instruments: BrokerInstruments, direction: 'in' | 'out'): readonly Cell[] {
  const packets = instruments.counter('packets_total')
  return PACKET_TYPES.map((type) =>
    type === undefined ? { value: 0 } : packets.cell({ direction, type: type as 'connect' }),
  )
}
