import { encodeMessage, Message, type QoS } from '@breakwater/bus'
import type { Keys } from '@breakwater/redis'
import { APPEND } from './scripts.ts'
import type { AppendDone, PublishEffects, QueueBounds } from './store.ts'
import type { TurnWriter } from './turn-writer.ts'

type Done = (error: Error | undefined) => void

export interface RedisEffectsParts {
  readonly keys: Keys
  readonly writer: TurnWriter
  readonly bounds: QueueBounds
}

/** Everything that one PUBLISH changes in Redis, one write each; the last answer calls back. */
export class RedisEffects {
  readonly #keys: Keys
  readonly #writer: TurnWriter
  readonly #bounds: QueueBounds

  constructor({ keys, writer, bounds }: RedisEffectsParts) {
    this.#keys = keys
    this.#writer = writer
    this.#bounds = bounds
  }

  apply({ message, queues, replay = false }: PublishEffects, done: AppendDone): void {
    const retain = message.retain && !replay
    const positions: number[] = Array.from({ length: queues.length }, () => 0)
    let dropped = 0
    let failure: Error | undefined
    let open = queues.length + (retain ? 1 : 0)
    const settle = (error: Error | undefined): void => {
      failure ??= error
      open -= 1
      if (open <= 0) done(failure, { positions, dropped })
    }
    if (open === 0) {
      void this.#writer.settled().then(() => settle(undefined))
      return
    }
    if (retain) this.#retain(message, settle)
    const copies = new Map<QoS, Buffer>()
    for (const [index, { clientId, qos }] of queues.entries()) {
      const known = copies.get(qos)
      const copy = known ?? encodeMessage(new Message(message.topic, message.payload, qos, replay))
      copies.set(qos, copy)
      this.#writer.script(
        APPEND,
        [this.#keys.session(clientId), this.#keys.queue(clientId)],
        [copy, this.#bounds.queueMessagesMax, this.#bounds.queueBytesMax],
        (error, result) => {
          if (error === undefined) {
            const [position, made] = result as [number, number]
            positions[index] = position
            dropped += made
          }
          settle(error)
        },
        known === undefined ? copy.length : 0,
      )
    }
  }

  /** An empty payload clears [MQTT-3.3.1-10]. */
  #retain(message: Message, done: Done): void {
    const { topic, payload } = message
    if (payload.length === 0) {
      this.#writer.command(['hdel', this.#keys.retained, topic], done)
      return
    }
    const bytes = encodeMessage(message)
    this.#writer.command(['hset', this.#keys.retained, topic, bytes], done, bytes.length)
  }
}
