import { encodeMessage, Message, type QoS } from '@breakwater/bus'
import type { Keys } from '@breakwater/redis'
import { APPEND, REPLAY, type Argument } from './scripts.ts'
import type { Appended, AppendDone, PublishEffects, QueueAppend, QueueBounds } from './store.ts'
import type { TurnWriter } from './turn-writer.ts'

export interface RedisEffectsParts {
  readonly keys: Keys
  readonly writer: TurnWriter
  readonly bounds: QueueBounds
}

/** Everything that one PUBLISH changes in Redis, one write each; the last answer calls back. */
export class RedisEffects {
  readonly #keys: Keys
  readonly #writer: TurnWriter
  readonly #queueBounds: readonly [messagesMax: number, bytesMax: number]

  constructor({ keys, writer, bounds }: RedisEffectsParts) {
    this.#keys = keys
    this.#writer = writer
    this.#queueBounds = [bounds.queueMessagesMax, bounds.queueBytesMax]
  }

  apply({ message, queues, replay = false }: PublishEffects, done: AppendDone): void {
    const retain = message.retain && !replay
    const answers = new Answers(queues.length, retain ? 1 : 0, done)
    if (answers.complete) {
      void this.#writer.settled().then(() => answers.settle(undefined))
      return
    }
    if (retain) this.#retain(message, answers)
    if (replay) this.#replay(message.topic, queues, answers)
    else this.#append(message, queues, answers)
  }

  /** An empty payload clears [MQTT-3.3.1-10]. */
  #retain(message: Message, answers: Answers): void {
    const { topic, payload } = message
    const done = (error: Error | undefined): void => answers.settle(error)
    if (payload.length === 0) {
      this.#writer.command(['hdel', this.#keys.retained, topic], done)
      return
    }
    const bytes = encodeMessage(message)
    this.#writer.command(['hset', this.#keys.retained, topic, bytes], done, bytes.length)
  }

  #append({ topic, payload }: Message, queues: readonly QueueAppend[], answers: Answers): void {
    const copies = new Map<QoS, Buffer>()
    for (const [index, { clientId, qos }] of queues.entries()) {
      const known = copies.get(qos)
      const copy = known ?? encodeMessage(new Message(topic, payload, qos, false))
      copies.set(qos, copy)
      const args: Argument[] = [...this.#queueBounds, copy]
      const bytes = known === undefined ? copy.length : 0
      this.#writer.script(APPEND, this.#queueKeys(clientId), args, answers.at(index), bytes)
    }
  }

  #replay(topic: string, queues: readonly QueueAppend[], answers: Answers): void {
    for (const [index, { clientId, qos }] of queues.entries()) {
      const keys = [...this.#queueKeys(clientId), this.#keys.retained]
      this.#writer.script(REPLAY, keys, [...this.#queueBounds, topic, qos], answers.at(index))
    }
  }

  #queueKeys(clientId: string): readonly string[] {
    return [this.#keys.session(clientId), this.#keys.queue(clientId)]
  }
}

/** Collects the answers of the writes of one message. */
class Answers {
  readonly #positions: number[]
  readonly #done: AppendDone
  #dropped = 0
  #open: number
  #failure: Error | undefined

  constructor(queues: number, others: number, done: AppendDone) {
    this.#positions = Array.from({ length: queues }, () => 0)
    this.#open = queues + others
    this.#done = done
  }

  get complete(): boolean {
    return this.#open === 0
  }

  /** What takes the answer of the queue at this index. */
  at(index: number): (error: Error | undefined, result?: unknown) => void {
    return (error, result) => {
      if (error === undefined) {
        const [position, dropped] = result as [number, number]
        this.#positions[index] = position
        this.#dropped += dropped
      }
      this.settle(error)
    }
  }

  settle(error: Error | undefined): void {
    this.#failure ??= error
    this.#open -= 1
    if (this.#open > 0) return
    const appended: Appended = { positions: this.#positions, dropped: this.#dropped }
    this.#done(this.#failure, appended)
  }
}
