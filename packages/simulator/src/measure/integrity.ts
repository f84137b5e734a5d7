/** The books at the end of a run: what ought to have arrived against what did. */
import type { Device } from '../device/device.ts'
import type { Meter } from './meter.ts'
import type { FleetOptions } from '../command/options.ts'
import type { Publisher } from '../device/publisher.ts'
import { ExpectedLedger } from './ledger.ts'

/** A subscriber that misses messages of a publisher. */
interface LossyPath {
  /** Absent when the publisher belongs to another fleet. */
  readonly publisher?: string
  readonly subscriber: string
  readonly lost: number
}

export interface Integrity {
  /** Deliveries that ought to have happened. */
  readonly expected: number
  readonly lost: number
  readonly duplicates: { readonly qos0: number; readonly qos1: number; readonly qos2: number }
  readonly outOfOrder: number
  readonly misrouted: number
  readonly corrupt: number
  readonly foreign: number
  readonly retained: number
  readonly unacknowledged: number
  readonly strayAcknowledgements: number
  /** The paths that lost most, at most `PATHS_MAX`. */
  readonly worst: readonly LossyPath[]
}

const PATHS_MAX = 10

interface Books {
  expected: number
  lost: number
  readonly paths: LossyPath[]
}

const enterDevice = (
  books: Books,
  device: Device,
  devices: readonly Device[],
  publishers: readonly Publisher[],
): void => {
  const ledger = device.subscriber?.ledger
  if (ledger === undefined) return
  const own = ledger instanceof ExpectedLedger
  let publisher = own ? ledger.firstPublisher : 0
  for (const track of ledger.tracks) {
    const expected = own ? publishers[publisher]!.sequence : track.next - track.first
    const lost = expected - track.received
    books.expected += expected
    books.lost += lost
    if (lost > 0) {
      // Publisher i is connection i (scenario/pubsub.ts).
      const from = own ? { publisher: devices[publisher]!.clientId } : {}
      books.paths.push({ ...from, subscriber: device.clientId, lost })
    }
    publisher += 1
  }
}

/** Closes the books of a run. */
export const closeBooks = (
  options: FleetOptions,
  devices: readonly Device[],
  publishers: readonly Publisher[],
  meter: Meter,
): Integrity => {
  const books: Books = { expected: 0, lost: 0, paths: [] }
  for (const device of devices) enterDevice(books, device, devices, publishers)
  const [qos0, qos1, qos2] = meter.duplicates
  const { outOfOrder, misrouted, corrupt, foreign, retained, strayAcknowledgements } = meter
  return {
    expected: books.expected,
    lost: books.lost,
    duplicates: { qos0, qos1, qos2 },
    outOfOrder,
    misrouted,
    corrupt,
    foreign,
    retained,
    unacknowledged: options.qos > 0 ? meter.sent - meter.acknowledged : 0,
    strayAcknowledgements,
    worst: books.paths.sort((a, b) => b.lost - a.lost).slice(0, PATHS_MAX),
  }
}

const several = (count: number, what: string): string =>
  `${count} message${count === 1 ? '' : 's'} ${what}`

/**
 * What must not be. QoS 1 may deliver twice [MQTT-4.3.2]; QoS 0 and 2 may not; QoS 0 may lose by
 * the standard, but a load test that loses wants to say so. A threshold on `loss` or `dup` takes
 * the place of the rule.
 */
export const violations = (integrity: Integrity, options: FleetOptions): readonly string[] => {
  const judged = new Set(options.thresholds.map((threshold) => threshold.metric))
  const { qos0, qos2 } = integrity.duplicates
  const counts: readonly (readonly [number, string])[] = [
    [judged.has('loss') ? 0 : integrity.lost, 'lost'],
    [judged.has('dup') ? 0 : qos0 + qos2, 'delivered twice'],
    [integrity.outOfOrder, 'out of order'],
    [integrity.misrouted, 'delivered to the wrong subscriber'],
    [integrity.corrupt, 'changed on the way'],
    [integrity.unacknowledged, 'never acknowledged'],
  ]
  return counts.filter(([count]) => count > 0).map(([count, what]) => several(count, what))
}
