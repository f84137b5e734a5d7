import { encodeMessage, Message, type QoS } from '@breakwater/bus'
import { bucketOf, RETAINED_BUCKETS, type Keys } from '@breakwater/redis'
import type { Operation, PublishWriter } from './publish-writer.ts'
import { sharedAppend } from './redis-shared.ts'
import type { SharedAppend } from './shared-queues.ts'
import type { AppendDone, Appended, PublishEffects, QueueAppend } from './store.ts'

const NOTHING: Appended = { positions: [], dropped: 0, retainedChanged: false }

/** Queues of one write: no call that carries several messages is held up by one with many. */
const CHUNK = 500
const NO_SHARED: readonly SharedAppend[] = []
/** Of a write, instead of what was dropped: see BATCH. */
const LEFT_OUT = -1

/**
 * Everything that one PUBLISH changes in Redis: one write, or several where it goes to many queues. The
 * retained message comes with the first, the end of a QoS 2 publish with the last.
 */
export class RedisEffects {
  readonly #keys: Keys
  readonly #writer: PublishWriter

  constructor({ keys, writer }: { keys: Keys; writer: PublishWriter }) {
    this.#keys = keys
    this.#writer = writer
  }

  apply(effects: PublishEffects, done: AppendDone): void {
    const { message, queues, shared = NO_SHARED, replay = false, inbound } = effects
    const retain = message.retain && !replay
    if (queues.length + shared.length === 0 && !retain && inbound === undefined) {
      void this.#writer.settled().then(() => done(undefined, NOTHING))
      return
    }
    const variants = new Variants(message)
    const writes = Math.max(1, Math.ceil(queues.length / CHUNK))
    const counts = { queues: queues.length, shared: shared.length }
    const answers = new Answers(counts, writes, retain, done)
    for (let write = 0; write < writes; write += 1) {
      const start = write * CHUNK
      const chunk = writes === 1 ? queues : queues.slice(start, start + CHUNK)
      const operations: Operation[] = []
      if (inbound !== undefined && write === writes - 1) {
        const keys = [this.#keys.inbound(inbound.clientId)]
        // Of several writes an earlier one may have been executed alone: then the last one must be, too.
        operations.push({ keys, words: [writes === 1 ? 'T' : 'D', inbound.packetId] })
      }
      if (retain && write === 0) operations.push(this.#retained(message))
      const order = replay
        ? this.#replay(message.topic, chunk, operations)
        : this.#append(variants, chunk, operations)
      // Behind the sessions of the last write: their answers come first.
      if (write === writes - 1)
        for (const append of shared)
          operations.push(sharedAppend(this.#keys, append, variants.at(append.qos)))
      const size = {
        queues: chunk.length + (write === writes - 1 ? shared.length : 0),
        bytes: write === 0 ? variants.bytes + (retain ? message.bytes : 0) : 0,
        before: write,
      }
      this.#writer.write(operations, size, (error, answer) =>
        answers.take(error, answer, start, order),
      )
    }
  }

  /** An empty payload clears [MQTT-3.3.1-10]. */
  #retained(message: Message): Operation {
    const { topic, payload } = message
    const keys = [this.#keys.retained(bucketOf(topic, RETAINED_BUCKETS))]
    if (payload.length === 0) return { keys, words: ['C', topic] }
    return { keys, words: ['S', topic, { message: encodeMessage(message) }] }
  }

  /** Returns the places of the queues in the order in which they are answered. */
  #append(
    variants: Variants,
    queues: readonly QueueAppend[],
    operations: Operation[],
  ): readonly number[] {
    const order: number[] = []
    for (const qos of [0, 1, 2] as const) {
      const keys: string[] = []
      for (let place = 0; place < queues.length; place += 1) {
        const queue = queues[place] as QueueAppend
        if (queue.qos !== qos) continue
        keys.push(this.#keys.session(queue.clientId), this.#keys.queue(queue.clientId))
        order.push(place)
      }
      if (keys.length > 0)
        operations.push({ keys, words: ['A', { message: variants.at(qos) }, keys.length / 2] })
    }
    return order
  }

  #replay(
    topic: string,
    queues: readonly QueueAppend[],
    operations: Operation[],
  ): readonly number[] {
    const retained = this.#keys.retained(bucketOf(topic, RETAINED_BUCKETS))
    for (const { clientId, qos } of queues)
      operations.push({
        keys: [this.#keys.session(clientId), this.#keys.queue(clientId), retained],
        words: ['R', topic, qos],
      })
    return [...queues.keys()]
  }
}

/** A message as it is queued, encoded once per QoS. */
class Variants {
  readonly #message: Message
  readonly #encoded: (Buffer | undefined)[] = []

  constructor(message: Message) {
    this.#message = message
  }

  get bytes(): number {
    return this.#encoded.reduce((sum, encoded) => sum + (encoded?.length ?? 0), 0)
  }

  at(qos: QoS): Buffer {
    const { topic, payload } = this.#message
    return (this.#encoded[qos] ??= encodeMessage(new Message(topic, payload, qos, false)))
  }
}

/** Collects the answers of the writes of one message. */
class Answers {
  readonly #positions: number[]
  readonly #shared: number[]
  #epochs: number[] | undefined
  readonly #done: AppendDone
  /** The first write sets or clears the retained message. */
  readonly #retain: boolean
  #retainedChanged = false
  #dropped = 0
  #again = false
  #open: number
  #failure: Error | undefined

  constructor(
    { queues, shared }: { readonly queues: number; readonly shared: number },
    writes: number,
    retain: boolean,
    done: AppendDone,
  ) {
    this.#positions = Array.from({ length: queues }, () => 0)
    this.#shared = Array.from({ length: shared }, () => 0)
    this.#open = writes
    this.#retain = retain
    this.#done = done
  }

  /** `order`: places of the queues, in the order in which they are answered. */
  take(
    error: Error | undefined,
    answer: readonly number[] = [],
    start: number,
    order: readonly number[],
  ): void {
    this.#failure ??= error
    if (answer[0] === LEFT_OUT) this.#again = true
    else this.#dropped += answer[0] ?? 0
    const hasRetained = this.#retain && start === 0 && answer.length > 1
    if (hasRetained) this.#retainedChanged = answer[1] !== 0
    const shared = this.#shared
    const first = hasRetained ? 2 : 1
    const firstShared = first + order.length
    const firstEpoch = firstShared + shared.length
    for (const [index, place] of order.entries())
      this.#positions[start + place] = answer[first + index] ?? 0
    // Those of the shared ones come with the last write alone.
    for (let index = 0; index < shared.length && firstShared + index < answer.length; index += 1)
      shared[index] = answer[firstShared + index] as number
    const isWhole = order.length > 0 && order.length === this.#positions.length
    if (isWhole && answer.length === firstEpoch + order.length)
      this.#epochs = order.map((_, place) => answer[firstEpoch + order.indexOf(place)] as number)
    this.#open -= 1
    if (this.#open > 0) return
    this.#done(this.#failure, {
      positions: this.#positions,
      ...(this.#epochs === undefined ? {} : { epochs: this.#epochs }),
      ...(shared.length === 0 ? {} : { shared }),
      dropped: this.#dropped,
      retainedChanged: this.#retainedChanged && !this.#again,
      ...(this.#again ? { again: true } : {}),
    })
  }
}
