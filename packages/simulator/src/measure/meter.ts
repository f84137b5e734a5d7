/**
 * Everything one process counts during a run: plain numbers and histograms, no labels, no objects
 * per message. Counters cover the whole run; histograms only messages of the measured interval,
 * so that connecting, warm-up and draining do not colour them.
 */
import { Histogram } from './histogram.ts'

/** Counters at one moment. */
export interface MeterMark {
  readonly atUs: number
  readonly sent: number
  readonly sentBytes: number
  readonly acknowledged: number
  readonly received: number
  readonly receivedBytes: number
  readonly delivered: number
}

export class Meter {
  // Publishing
  sent = 0
  sentBytes = 0
  acknowledged = 0
  /** Acknowledgements that no message waits for. */
  strayAcknowledgements = 0
  /** Times a due message had to wait: the socket was full or too many were unacknowledged. */
  heldBack = 0

  // Receiving
  received = 0
  receivedBytes = 0
  /** Different messages of this run, per subscriber. */
  delivered = 0
  /** By the QoS they were delivered with. */
  readonly duplicates: [number, number, number] = [0, 0, 0]
  outOfOrder = 0
  /** A message of this run at a subscriber that did not ask for it. */
  misrouted = 0
  /** A message of this run with a wrong length. */
  corrupt = 0
  /** Messages of another run or of somebody else. */
  foreign = 0
  /** Retained messages that a subscription replayed. */
  retained = 0
  /** Times a saturated run had to give up on messages to go on. */
  stalls = 0

  // Distributions, in microseconds
  readonly endToEnd: Histogram = new Histogram() // intended time → delivered
  readonly transit: Histogram = new Histogram() // sent → delivered
  readonly acknowledgement: Histogram = new Histogram() // intended time → PUBACK or PUBCOMP
  readonly acknowledgementTransit: Histogram = new Histogram() // sent → PUBACK or PUBCOMP
  readonly lag: Histogram = new Histogram() // intended time → this process got to it
  readonly connectLag: Histogram = new Histogram()
  readonly tcp: Histogram = new Histogram()
  readonly tls: Histogram = new Histogram()
  readonly connack: Histogram = new Histogram()
  readonly suback: Histogram = new Histogram()
  readonly connect: Histogram = new Histogram() // intended time → ready

  /** The measured interval: messages meant to leave in [fromUs, toUs). */
  fromUs: number = Number.POSITIVE_INFINITY
  toUs: number = Number.POSITIVE_INFINITY

  measures(intendedUs: number): boolean {
    return intendedUs >= this.fromUs && intendedUs < this.toUs
  }

  mark(atUs: number): MeterMark {
    const { sent, sentBytes, acknowledged, received, receivedBytes, delivered } = this
    return { atUs, sent, sentBytes, acknowledged, received, receivedBytes, delivered }
  }
}
