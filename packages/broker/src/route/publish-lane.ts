/**
 * The order of effects of one PUBLISH, for one publisher.
 *
 *   limit → authorise → store (retained, queues, other nodes) → acknowledge → deliver on this node
 *
 * A message that needs only memory is acknowledged and delivered in the turn in which it was read, unless an
 * earlier message of the same publisher still waits for the store: effects and acknowledgements leave in the
 * order of the frames, whichever path each message took. QoS 2 is stored under the publisher's session
 * before PUBREC and fanned out on PUBREL, before PUBCOMP (deliver/exchange.ts has the table).
 *
 * Bounds: `inboundMessagesMax` and INBOUND_BYTES_MAX waiting, then the connection is held; `inboundQos2Max` and
 * `inboundQos2BytesMax` unreleased; the publish rate; the store's own time-out, then `store-unavailable` and no acknowledgement.
 */
import {
  isServerTopic,
  isValidTopicName,
  topicLevels,
  type QoS,
  PacketType,
  readUtf8,
} from '@breakwater/mqtt'
import { Message } from '@breakwater/bus'
import { InboundFullError, QueueFullError, RetainedFullError, type Store } from '@breakwater/store'
import type { Permissions } from '../access/permissions.ts'
import type { CloseReasonId } from '../connection/close-reason.ts'
import type { Connection } from '../connection/connection.ts'
import { Hold } from '../connection/hold.ts'
import { TokenBucket } from '../admit/token-bucket.ts'
import type { FrameSink } from '../deliver/frame-sink.ts'
import type { Events } from '../observe/events.ts'
import { INCOMING } from '../deliver/exchange.ts'
import { Unreleased, type UnreleasedOptions } from './unreleased.ts'
import type { InboundLane } from '../session/inbound-lane.ts'
import type { Effects, Publisher, Router } from './router.ts'

const INBOUND_BYTES_MAX = 1_048_576
const NO_BYTES = Buffer.alloc(0)

/** A packet whose effects are under way. They finish in any order; entries leave in that of the frames. */
interface Entry {
  readonly packet: 'publish' | 'pubrel'
  readonly qos: QoS
  readonly packetId: number
  /** What is delivered here when the entry leaves; undefined for a QoS 2 PUBLISH. */
  readonly message: Message | undefined
  readonly bytes: number
  readonly startedAt: number
  effects: Effects | undefined
  ready: boolean
}

export interface PublishLaneOptions extends UnreleasedOptions {
  readonly clientId: string
  /** Of the ownership of the session. */
  readonly epoch: number
  readonly persistent: boolean
  readonly connection: Connection
  readonly sink: FrameSink
  readonly router: Router
  readonly store: Store
  readonly events: Events
  /** Undefined: everything. */
  readonly permissions: Permissions | undefined
  /** Whether a publish that is denied ends the connection. */
  readonly closeDenied: boolean
}

export class PublishLane implements InboundLane {
  readonly #options: PublishLaneOptions
  readonly #publisher: Publisher
  readonly #connection: Connection
  readonly #sink: FrameSink
  readonly #router: Router
  readonly #events: Events
  readonly #messageRate: TokenBucket | undefined
  readonly #byteRate: TokenBucket | undefined
  readonly #unreleased: Unreleased
  #entries: Entry[] = []
  #waitingBytes = 0
  #closed = false
  #idleWaiters: (() => void)[] | undefined
  /** The topic of the last PUBLISH: most publishers have one. */
  #topicBytes: Buffer = NO_BYTES
  #topic = ''
  #topicAllowed = false
  #permissionsVersion = 0

  constructor(options: PublishLaneOptions) {
    this.#options = options
    this.#publisher = {
      clientId: options.clientId,
      account: options.account.name,
      appends: 0,
    }
    this.#connection = options.connection
    this.#sink = options.sink
    this.#router = options.router
    this.#events = options.events
    const { publishMessagesPerSecondMax, publishBytesPerSecondMax } = options.limits
    this.#messageRate = TokenBucket.of(publishMessagesPerSecondMax)
    this.#byteRate = TokenBucket.of(publishBytesPerSecondMax)
    this.#unreleased = new Unreleased(options)
  }

  /** Nothing under way: a control packet may take effect. */
  get idle(): boolean {
    return this.#entries.length === 0
  }

  /** Resolves when everything that was received before has taken effect, or failed. */
  async drained(): Promise<void> {
    if (this.idle) return
    await new Promise<void>((resolve) => (this.#idleWaiters ??= []).push(resolve))
  }

  close(): void {
    this.#closed = true
    this.#unreleased.clear()
  }

  /** Takes a PUBLISH frame; returns why the connection must end, if it must. */
  publish(buffer: Buffer, start: number, body: number, end: number): CloseReasonId | undefined {
    const first = buffer[start] as number
    const qos = ((first >> 1) & 3) as QoS
    const topicEnd = body + 2 + (((buffer[body] as number) << 8) | (buffer[body + 1] as number))
    const payloadStart = qos === 0 ? topicEnd : topicEnd + 2
    if (body + 2 > end || payloadStart > end) return 'malformed-packet'
    const fault = this.#readTopic(buffer, body + 2, topicEnd)
    if (fault !== undefined) return fault
    const packetId =
      qos === 0 ? 0 : ((buffer[topicEnd] as number) << 8) | (buffer[topicEnd + 1] as number)
    // [MQTT-2.3.1-1]
    if (qos !== 0 && packetId === 0) return 'malformed-packet'

    this.#limitRate(end - start)
    this.#events.received[qos].add(1)
    const message = new Message(
      this.#topic,
      buffer.subarray(payloadStart, end),
      qos,
      (first & 1) !== 0,
    )
    if (qos === 2) return this.#receive(packetId, message)
    if (!this.#topicAllowed) this.#deny(message, packetId)
    else if (qos === 0 && this.idle && !message.retain)
      this.#router.publishAtOnce(message, this.#options.clientId)
    else if (this.idle && !this.#router.leavesNode(message)) {
      if (qos === 1) {
        this.#sink.packetId(PacketType.PUBACK, packetId)
        // In the turn in which it was read.
        this.#events.publishAck[1]?.observe(0)
      }
      this.#router.publishHere(message, this.#options.clientId)
      // Its payload lies in the read buffer, which is used again after this turn.
    } else this.#store('publish', packetId, message.detached())
    if (qos === 0 && this.#router.congests(message)) {
      this.#connection.hold(Hold.BUS)
      this.#events.readPauses['bus-full'].add(1)
      this.#router.whenClear(() => this.#connection.release(Hold.BUS))
    }
    return undefined
  }

  /** Takes a PUBREL frame. */
  release(packetId: number): void {
    const state = this.#unreleased.has(packetId) ? 'received' : 'free'
    if (INCOMING[state].pubrel.action === 'answer-pubcomp') {
      this.#enqueue({ packet: 'pubrel', qos: 2, packetId, message: undefined }, true)
      return
    }
    const message = this.#unreleased.take(packetId)
    if (message !== undefined) this.#fanOutReleased(packetId, message)
    else this.#fanOutStored(packetId)
  }

  #receive(packetId: number, message: Message): CloseReasonId | undefined {
    const state = this.#unreleased.has(packetId) ? 'received' : 'free'
    const { store, clientId, epoch, persistent } = this.#options
    if (INCOMING[state].publish.action === 'answer-pubrec') {
      this.#enqueue({ packet: 'publish', qos: 2, packetId, message: undefined }, true)
      return undefined
    }
    const kept = message.detached()
    if (!this.#unreleased.add(packetId, kept)) return 'receive-maximum-exceeded'
    const entry = this.#enqueue(
      { packet: 'publish', qos: 2, packetId, message: undefined },
      !persistent,
    )
    if (persistent)
      store.storeInbound({ clientId, epoch }, packetId, kept, (error) => this.#settle(entry, error))
    return undefined
  }

  #fanOutReleased(packetId: number, message: Message): void {
    if (this.#mayPublish(message.topic)) this.#store('pubrel', packetId, message)
    else this.#deny(message, packetId)
  }

  #mayPublish(topic: string): boolean {
    return !isServerTopic(topic) && this.#options.permissions?.publish(topic) !== false
  }

  /** Of an earlier connection of this session: the message is only in the store. */
  #fanOutStored(packetId: number): void {
    const { store, clientId } = this.#options
    this.#connection.hold(Hold.STORED)
    store.readInbound(clientId, packetId).then(
      (message) => {
        if (message !== undefined) this.#fanOutReleased(packetId, message)
        else this.#forgetInbound(packetId)
        this.#connection.release(Hold.STORED)
      },
      () => this.#connection.close('store-unavailable'),
    )
  }

  /** It has taken effect before: what is left is that its packet id is free. */
  #forgetInbound(packetId: number): void {
    const facts = { packet: 'pubrel', qos: 2, packetId, message: undefined } as const
    const entry = this.#enqueue(facts, false)
    const { store, clientId } = this.#options
    store.deleteInbound(clientId, packetId, (error) => this.#settle(entry, error))
  }

  /** [MQTT-3.3.5-2]: 3.1.1 cannot refuse a PUBLISH; it is acknowledged as usual and goes nowhere. */
  #deny(message: Message, packetId: number): void {
    this.#events.publishDenied(this.#connection, message.topic, message.qos)
    const { persistent, closeDenied, store, clientId } = this.#options
    // Stored, it would be denied again when the session resumes.
    if (message.qos === 2 && persistent) store.deleteInbound(clientId, packetId, () => undefined)
    if (closeDenied) this.#connection.close('publish-denied', message.topic)
    if (message.qos === 0 || closeDenied) return
    const packet = message.qos === 1 ? 'publish' : 'pubrel'
    this.#enqueue({ packet, qos: message.qos, packetId, message: undefined }, true)
  }

  #store(packet: 'publish' | 'pubrel', packetId: number, message: Message): void {
    const entry = this.#enqueue({ packet, qos: message.qos, packetId, message }, false)
    const { clientId, persistent } = this.#options
    // Forgotten in the step that fans it out: a PUBREL that comes again is answered without a second one.
    const inbound = packet === 'pubrel' && persistent ? { clientId, packetId } : undefined
    this.#router.publish(
      message,
      this.#publisher,
      (error, effects) => {
        entry.effects = effects
        this.#settle(entry, error)
      },
      inbound,
    )
  }

  #enqueue(facts: Pick<Entry, 'packet' | 'qos' | 'packetId' | 'message'>, ready: boolean): Entry {
    const entry: Entry = {
      ...facts,
      bytes: facts.message?.bytes ?? 0,
      startedAt: performance.now(),
      effects: undefined,
      ready,
    }
    this.#entries.push(entry)
    this.#waitingBytes += entry.bytes
    if (ready) this.#leave()
    else if (
      this.#entries.length >= this.#options.limits.inboundMessagesMax ||
      this.#waitingBytes >= INBOUND_BYTES_MAX
    ) {
      this.#connection.hold(Hold.INBOUND)
      this.#events.readPauses['inbound-full'].add(1)
    }
    return entry
  }

  #settle(entry: Entry, error: Error | undefined): void {
    if (error instanceof QueueFullError && !this.#closed)
      this.#connection.close('subscriber-queue-full', error.message)
    else if (error instanceof RetainedFullError && !this.#closed)
      this.#connection.close('retained-full', error.message)
    else if (error instanceof InboundFullError && !this.#closed)
      this.#connection.close('receive-maximum-exceeded', error.message)
    else if (error !== undefined && !this.#closed) {
      this.#events.storeFailed(`${entry.packet} of ${this.#options.clientId}`, error)
      this.#connection.close('store-unavailable', error.message)
    }
    // Without its effects an entry never leaves: nothing behind it is acknowledged either.
    if (error !== undefined) this.#abandon()
    else {
      entry.ready = true
      this.#leave()
    }
  }

  #abandon(): void {
    this.#closed = true
    this.#entries = []
    this.#waitingBytes = 0
    this.#becomeIdle()
  }

  #leave(): void {
    while (this.#entries[0]?.ready === true) {
      const entry = this.#entries.shift() as Entry
      this.#waitingBytes -= entry.bytes
      this.#acknowledge(entry)
      if (entry.message !== undefined && entry.effects !== undefined)
        this.#router.deliverStored(entry.message, entry.effects)
    }
    if (
      this.#entries.length * 2 <= this.#options.limits.inboundMessagesMax &&
      this.#waitingBytes * 2 <= INBOUND_BYTES_MAX
    )
      this.#connection.release(Hold.INBOUND)
    if (this.idle) this.#becomeIdle()
  }

  #acknowledge({ packet, qos, packetId, startedAt }: Entry): void {
    if (qos === 0) return
    if (packet === 'pubrel') this.#sink.packetId(PacketType.PUBCOMP, packetId)
    else {
      this.#sink.packetId(qos === 1 ? PacketType.PUBACK : PacketType.PUBREC, packetId)
      this.#events.publishAck[qos]?.observe((performance.now() - startedAt) / 1_000)
    }
  }

  #becomeIdle(): void {
    const waiters = this.#idleWaiters
    this.#idleWaiters = undefined
    if (waiters !== undefined) for (const resolve of waiters) resolve()
    this.#connection.release(Hold.DATA)
  }

  /** Reads and checks the topic; the one of the PUBLISH before is known by its bytes. */
  #readTopic(buffer: Buffer, start: number, end: number): CloseReasonId | undefined {
    const { limits, permissions } = this.#options
    const asked = this.#permissionsVersion === (permissions?.version ?? 0)
    if (asked && sameBytes(this.#topicBytes, buffer, start, end)) return undefined
    if (end - start > limits.topicBytesMax) return 'topic-too-long'
    const topic = readUtf8(buffer, start, end)
    // [MQTT-1.5.3-1] [MQTT-3.3.2-2] [MQTT-4.7.3-1]
    if (topic === undefined || !isValidTopicName(topic)) return 'malformed-packet'
    if (topicLevels(topic) > limits.topicLevelsMax) return 'topic-too-long'
    this.#topicBytes = Buffer.from(buffer.subarray(start, end))
    this.#topic = topic
    this.#permissionsVersion = permissions?.version ?? 0
    this.#topicAllowed = this.#mayPublish(topic)
    return undefined
  }

  /** Nothing is dropped: the client is not read until its debt is paid. */
  #limitRate(bytes: number): void {
    if (this.#messageRate === undefined && this.#byteRate === undefined) return
    const now = performance.now()
    const waitMs = Math.max(
      this.#messageRate?.take(1, now) ?? 0,
      this.#byteRate?.take(bytes, now) ?? 0,
    )
    if (waitMs === 0) return
    this.#connection.hold(Hold.RATE)
    this.#events.readPauses['publish-rate'].add(1)
    setTimeout(() => this.#connection.release(Hold.RATE), waitMs).unref()
  }
}

function sameBytes(known: Buffer, buffer: Buffer, start: number, end: number): boolean {
  const { length } = known
  if (length !== end - start || length === 0) return false
  for (let index = 0; index < length; index += 1)
    if (known[index] !== buffer[start + index]) return false
  return true
}
