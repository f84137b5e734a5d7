/**
 * What clients have sent and seen, and what was done to the cluster, in one order: that of the one process
 * that all clients live in. So "before" in the history means before in time, and a checker needs no clock
 * to tell what a promise covers.
 */
import type { QoS } from '../kit/wire-encoder.ts'

interface Line {
  /** Since the start of the round, ms. */
  readonly at: number
}

interface ClientLine extends Line {
  readonly client: string
  /** Counts the connections of the round; a later one has a higher number. */
  readonly connection: number
}

export interface Connect extends ClientLine {
  readonly kind: 'connect'
  readonly node: string
  readonly clean: boolean
  /** Message id of its will. */
  readonly will?: string
  readonly willTopic?: string
}

interface Connack extends ClientLine {
  readonly kind: 'connack'
  readonly returnCode: number
  readonly sessionPresent: boolean
}

/** DISCONNECT was sent. */
interface Disconnect extends ClientLine {
  readonly kind: 'disconnect'
}

interface Closed extends ClientLine {
  readonly kind: 'closed'
  readonly by: 'client' | 'broker'
}

interface Subscription extends ClientLine {
  readonly kind: 'subscribe' | 'suback' | 'unsubscribe' | 'unsuback'
  readonly filter: string
  /** Asked for or granted; 0x80 is a refusal. */
  readonly qos: number
}

export interface PublishSent extends ClientLine {
  readonly kind: 'publish'
  readonly message: string
  readonly topic: string
  readonly qos: QoS
  readonly retain: boolean
  readonly dup: boolean
  readonly packetId: number
}

/** Of a publisher: PUBREL was sent, the others were received. */
interface PublishStep extends ClientLine {
  readonly kind: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'
  readonly message: string
  readonly packetId: number
}

export interface Delivery extends ClientLine {
  readonly kind: 'delivered'
  readonly message: string
  readonly topic: string
  readonly qos: QoS
  readonly packetId: number
  readonly dup: boolean
  readonly retain: boolean
}

/** Of a subscriber: its PUBACK or PUBREC, which say that it has the message. */
interface Answer extends ClientLine {
  readonly kind: 'answer'
  readonly message: string
  readonly packetId: number
}

/** A subscriber reads nothing, or reads again. */
interface Reading extends ClientLine {
  readonly kind: 'stall' | 'read'
}

interface FaultLine extends Line {
  readonly kind: 'fault'
  readonly fault: string
  /** A node, a client or Redis. */
  readonly target: string
  readonly phase: 'begin' | 'end'
}

/** A node has logged the end of a connection. */
interface NodeClosed extends Line {
  readonly kind: 'node-closed'
  readonly node: string
  readonly client: string
  readonly reason: string
}

export type HistoryLine =
  | Connect
  | Connack
  | Disconnect
  | Closed
  | Subscription
  | PublishSent
  | PublishStep
  | Delivery
  | Answer
  | Reading
  | FaultLine
  | NodeClosed

/** A line that has no time yet. */
export type Entry = HistoryLine extends infer L ? (L extends Line ? Omit<L, 'at'> : never) : never

export class Recorder {
  readonly lines: HistoryLine[] = []
  readonly #start = performance.now()
  #connections = 0

  now(): number {
    return performance.now() - this.#start
  }

  record(entry: Entry): void {
    this.lines.push({ ...entry, at: this.now() })
  }

  nextConnection(): number {
    this.#connections += 1
    return this.#connections
  }
}
