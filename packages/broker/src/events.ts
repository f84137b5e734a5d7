/**
 * What happens in a node, one function per event: the counter and the log line of an event are never
 * apart. Client ids and addresses are in log lines, never in labels; payloads are in neither.
 */
import type { QoS } from '@breakwater/bus'
import type { Cell, HistogramCell, Instruments, LabelSets } from '@breakwater/metrics'
import type { Logger } from 'pino'
import {
  closeReason,
  closeReasonIds,
  DROP_REASONS,
  type CloseReasonId,
  type DropReason,
} from './close-reason.ts'
import type { TlsFacts } from './listen/tls-keeper.ts'
import { PacketType, packetTypeNames } from './mqtt/packet-type.ts'

interface BrokerLabels extends LabelSets {
  closeReasons: CloseReasonId
  dropReasons: DropReason
}

export type BrokerInstruments = Instruments<BrokerLabels>

export interface ConnectionFacts {
  readonly id: number
  readonly listener: string
  readonly peer: string
  readonly clientId: string
}

export function factsOf({ id, listener, peer, clientId }: ConnectionFacts): ConnectionFacts {
  return { id, listener, peer, clientId }
}

export type Source = 'live' | 'queue' | 'retained'

/** Why admission closes what it has not begun with. */
const SHED_REASONS: ReadonlySet<CloseReasonId> = new Set<CloseReasonId>([
  'connections-full',
  'overloaded',
  'held-full',
  'held-too-long',
  'address-rate',
])
const SHED_QUIET_MS = 10_000

const QOS = ['0', '1', '2'] as const
const PACKET_TYPES = Array.from({ length: 16 }, (_, type) => packetTypeNames[type])

/** Cells that the hot path adds to, resolved once. */
export class Events {
  readonly #log: Logger
  readonly #instruments: BrokerInstruments
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
  readonly #reasons: ReadonlyMap<string, Readonly<Record<CloseReasonId, Cell>>>

  constructor(log: Logger, instruments: BrokerInstruments, listeners: readonly string[]) {
    this.#log = log
    this.#instruments = instruments
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
    this.packetsIn = this.#packets('in')
    this.packetsOut = this.#packets('out')
    const bus = instruments.counter('bus_messages_total')
    this.busIn = bus.cell({ direction: 'in' })
    this.busOut = bus.cell({ direction: 'out' })
    this.writes = instruments.counter('writes_total').cell()
    this.publishAck = [undefined, ack.cell({ qos: '1' }), ack.cell({ qos: '2' })]
    this.#connack = (['0', '1', '2', '3', '4', '5'] as const).map((code) => connack.cell({ code }))
    this.#reasons = new Map(
      listeners.map((listener) => [
        listener,
        Object.fromEntries(
          closeReasonIds.map((reason) => [reason, closed.cell({ listener, reason })]),
        ) as Record<CloseReasonId, Cell>,
      ]),
    )
  }

  #packets(direction: 'in' | 'out'): readonly Cell[] {
    const packets = this.#instruments.counter('packets_total')
    return PACKET_TYPES.map((type) =>
      type === undefined ? { value: 0 } : packets.cell({ direction, type: type as 'connect' }),
    )
  }

  nodeReady(addresses: readonly string[], admin: string, nodeId: string): void {
    this.#log.info({ listen: addresses, admin, nodeId }, 'node is ready')
  }

  nodeStopping(connections: number): void {
    this.#log.info({ connections }, 'node is stopping')
  }

  /** So many clients are still served. */
  draining(clients: number): void {
    this.#log.info({ clients }, 'clients are being sent to other nodes')
  }

  nodeStopped(): void {
    this.#log.info('node has stopped')
  }

  developmentCertificate(caPath: string): void {
    this.#log.warn({ ca: caPath }, 'no certificate is configured: a development CA is in use')
  }

  anonymousAllowed(): void {
    this.#log.warn('clients without credentials are allowed')
  }

  connectionAccepted(listener: string): void {
    this.#instruments.counter('connections_opened_total').cell({ listener }).value += 1
    this.#instruments.gauge('connections').cell({ listener }).value += 1
  }

  connectionClosed(
    facts: ConnectionFacts,
    reason: CloseReasonId,
    detail: string | undefined,
  ): void {
    this.#countClose(facts.listener, reason)
    const fields = { ...facts, reason, ...(detail === undefined ? {} : { detail }) }
    this.#log[closeReason(reason).logLevel](fields, 'connection closed')
  }

  /** A socket that never became a connection: TLS failed. */
  handshakeFailed(listener: string, peer: string, reason: CloseReasonId, detail: string): void {
    const result = reason === 'handshake-timeout' ? 'timeout' : 'error'
    this.#instruments.counter('tls_handshakes_total').cell({ result }).value += 1
    this.#countClose(listener, reason)
    this.#log.info({ listener, peer, reason, detail }, 'connection closed')
  }

  handshakeDone(kind: 'full' | 'resumed'): void {
    this.#instruments.counter('tls_handshakes_total').cell({ result: 'ok' }).value += 1
    this.#instruments.counter('tls_sessions_total').cell({ kind }).value += 1
  }

  /** A socket that never became a connection, for another reason than TLS. */
  arrivalRefused(listener: string, peer: string, reason: CloseReasonId, detail: string): void {
    this.#countClose(listener, reason)
    this.#log[closeReason(reason).logLevel]({ listener, peer, reason, detail }, 'connection closed')
    if (SHED_REASONS.has(reason)) this.#shed(reason)
  }

  /** In a storm a line per socket would cost more than the socket: one for all, now and then. */
  #shed(reason: CloseReasonId): void {
    this.#shedCount += 1
    const nowMs = performance.now()
    if (nowMs < this.#shedQuietUntil) return
    this.#log.warn({ reason, count: this.#shedCount }, 'new connections are shed')
    this.#shedCount = 0
    this.#shedQuietUntil = nowMs + SHED_QUIET_MS
  }
  #shedCount = 0
  #shedQuietUntil = 0

  /** `connectionsMax` is more than the limit on open files allows. */
  connectionsLimited(connectionsMax: number): void {
    this.#log.warn({ connectionsMax }, 'the limit on open files allows fewer connections than set')
  }

  /** What a proxy says of a client; nothing is decided by it. */
  connectionProxied(listener: string, peer: string, claims: object): void {
    this.#log.debug({ listener, peer, claims }, 'proxy claims')
  }

  certificatesInUse(
    listener: string,
    { notAfter, serials, nextUpdateMs }: TlsFacts,
    first: boolean,
  ): void {
    const gauge = this.#instruments.gauge.bind(this.#instruments)
    gauge('tls_certificate_not_after_timestamp_seconds').cell({ listener }).value =
      notAfter.getTime() / 1_000
    if (nextUpdateMs !== undefined)
      gauge('tls_crl_next_update_timestamp_seconds').cell({ listener }).value = nextUpdateMs / 1_000
    if (first) return
    this.#instruments.counter('tls_reloads_total').cell({ listener, result: 'ok' }).value += 1
    this.#log.info({ listener, notAfter, serials }, 'new certificates are in use')
  }

  certificatesRefused(listener: string, why: string): void {
    this.#instruments.counter('tls_reloads_total').cell({ listener, result: 'error' }).value += 1
    this.#log.error({ listener, why }, 'new certificates are refused; the old ones stay in use')
  }

  storeReplaced(): void {
    this.#log.warn(
      'another redis server answers, or it was started again: what it knows is checked',
    )
  }

  /** A file of passwords, rules or the admin token has changed. */
  fileInUse(path: string): void {
    this.#log.info({ path }, 'a new version of the file is in use')
  }

  fileRefused(path: string, why: string): void {
    this.#log.error({ path, why }, 'a new version of the file is refused; the old one stays in use')
  }

  ticketKeyInUse(from: Date): void {
    this.#instruments.gauge('tls_ticket_key_timestamp_seconds').cell().value =
      from.getTime() / 1_000
    this.#log.info({ from }, 'another ticket key is in use')
  }

  ticketKeyUnreadable(): void {
    this.#log.error(
      'the ticket key in redis was wrapped under another BREAKWATER_TLS_TICKET_WRAP_KEY; tickets of this node are good here only',
    )
  }

  certificatesUnwatched(directory: string, error: Error): void {
    this.#log.warn({ directory, error: error.message }, 'directory is polled, not watched')
  }

  revocationsStale(listener: string, since: Date): void {
    this.#log.warn({ listener, since }, 'the revocation list in use should have been replaced')
  }

  revocationsChanged(entries: number): void {
    this.#instruments.gauge('revocations').cell().value = entries
  }

  /** Somebody has changed something by the admin API. */
  changedByAdmin(what: string, id: string, reason?: string): void {
    this.#log.info({ id, ...(reason === undefined ? {} : { reason }) }, `${what} by the admin API`)
  }

  adminAnswered(result: 'ok' | 'denied' | 'invalid' | 'error'): void {
    this.#instruments.counter('admin_requests_total').cell({ result }).value += 1
  }

  /** Clients that were let in, and may not stay. */
  evicted(what: string, closed: number): void {
    this.#log.info({ what, closed }, 'connected clients were closed')
  }

  #countClose(listener: string, reason: CloseReasonId): void {
    this.#instruments.gauge('connections').cell({ listener }).value -= 1
    const cells = this.#reasons.get(listener)
    if (cells !== undefined) cells[reason].value += 1
  }

  connackSent(code: number): void {
    const cell = this.#connack[code]
    if (cell !== undefined) cell.value += 1
    ;(this.packetsOut[PacketType.CONNACK] as Cell).value += 1
  }

  clientConnected(facts: ConnectionFacts, session: 'clean' | 'new' | 'resumed'): void {
    this.#log.debug({ ...facts, session }, 'client connected')
  }

  subscriptionRefused(facts: ConnectionFacts, filter: string, why: string): void {
    this.#log.info({ ...facts, filter, why }, 'subscription refused')
  }

  publishDenied(facts: ConnectionFacts, topic: string, qos: QoS): void {
    this.dropped('denied', qos)
    this.#log.info({ ...facts, topic }, 'publish denied')
  }

  dropped(reason: DropReason, qos: QoS, copies = 1): void {
    ;(this.#dropped[reason][qos] as Cell).value += copies
  }

  /** Messages that another node did not get; of which QoS is not told. */
  busDropped(reason: 'inbox-full' | 'inbox-gone', messages: number): void {
    this.dropped(reason, 0, messages)
  }

  /** A fault of Redis that nobody awaits; it repeats, so it is logged once per change of its text. */
  redisFault(error: Error): void {
    const text = (error as { code?: string }).code ?? error.message
    if (text === this.#lastRedisFault) return
    this.#lastRedisFault = text
    const isOther = error.name === 'EnvelopeError' || error.name === 'JoinRefused'
    this.#log.warn(
      { error: text },
      isOther
        ? 'what is in redis is of another version, or not for this node'
        : 'redis connection failed; it is tried again',
    )
  }

  redisRecovered(): void {
    if (this.#lastRedisFault === '') return
    this.#lastRedisFault = ''
    this.#log.info('redis is back')
  }
  #lastRedisFault = ''

  /** What Redis has executed is not confirmed in time at the level of `BREAKWATER_ACK`; undefined: it is again. */
  acknowledgementsHeld(why: string | undefined): void {
    if (why === undefined) this.#log.info('writes are confirmed again')
    else {
      this.#instruments.counter('store_unconfirmed_total').cell().value += 1
      if (!this.#held) this.#log.warn({ why }, 'writes are not confirmed: nothing is acknowledged')
    }
    this.#held = why !== undefined
  }
  #held = false

  storeFailed(what: string, error: Error): void {
    this.#log.warn({ what, error: error.message }, 'the store did not answer')
  }

  sessionsExpired(clientIds: readonly string[]): void {
    this.#log.info({ count: clientIds.length }, 'abandoned sessions expired')
  }

  /** A node is gone; those of its clients that left a will and were not back. Undefined: of some earlier one. */
  clientsAdopted(nodeId: string | undefined, wills: number): void {
    this.#log.info({ nodeId, wills }, 'clients of a departed node adopted')
  }

  /** A defect of this broker, seen where it cannot be told to anybody. */
  unexpected(what: string, error: unknown): void {
    this.#log.error({ what, err: error }, 'unexpected error')
  }
}
