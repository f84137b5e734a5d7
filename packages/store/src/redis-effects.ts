import { encodeMessage, Message, type QoS } from '@breakwater/bus'
import { bucketOf, RETAINED_BUCKETS, type Keys } from '@breakwater/redis'
import type { Operation, PublishWriter } from './publish-writer.ts'
import type { AppendDone, PublishEffects, QueueAppend } from './store.ts'

/** Queues of one write: no call that carries several messages is held up by one with many. */
const CHUNK = 500

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

  apply({ message, queues, replay = false, inbound }: PublishEffects, done: AppendDone): void {
    const retain = message.retain && !replay
    if (queues.length === 0 && !retain && inbound === undefined) {
      void this.#writer.settled().then(() => done(undefined, { positions: [], dropped: 0 }))
      return
    }
    const variants = new Variants(message)
    const writes = Math.max(1, Math.ceil(queues.length / CHUNK))
    const answers = new Answers(queues.length, writes, done)
    for (let write = 0; write < writes; write += 1) {
      const start = write * CHUNK
      const chunk = writes === 1 ? queues : queues.slice(start, start + CHUNK)
      const operations: Operation[] = []
      if (retain && write === 0) operations.push(this.#retained(message))
      const order = replay
        ? this.#replay(message.topic, chunk, operations)
        : this.#append(variants, chunk, operations)
      if (inbound !== undefined && write === writes - 1)
        operations.push({
          keys: [this.#keys.inbound(inbound.clientId)],
          words: ['D', inbound.packetId],
        })
      const size = {
        queues: chunk.length,
        bytes: write === 0 ? variants.bytes + (retain ? message.bytes : 0) : 0,
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
  #epochs: number[] | undefined
  readonly #done: AppendDone
  #dropped = 0
  #open: number
  #failure: Error | undefined

  constructor(queues: number, writes: number, done: AppendDone) {
    this.#positions = Array.from({ length: queues }, () => 0)
    this.#open = writes
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
    this.#dropped += answer[0] ?? 0
    const count = order.length
    for (let index = 0; index < count && index + 1 < answer.length; index += 1)
      this.#positions[start + (order[index] as number)] = answer[index + 1] as number
    if (count > 0 && answer.length === 1 + 2 * count) {
      this.#epochs ??= this.#positions.map(() => 0)
      for (let index = 0; index < count; index += 1)
        this.#epochs[start + (order[index] as number)] = answer[1 + count + index] as number
    }
    this.#open -= 1
    if (this.#open === 0)
      this.#done(this.#failure, {
        positions: this.#positions,
        dropped: this.#dropped,
        ...(this.#epochs === undefined ? {} : { epochs: this.#epochs }),
      })
  }
}
