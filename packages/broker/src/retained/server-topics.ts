/**
 * What the node says of itself under `$SYS`, as of the last interval: for subscribers that come in between.
 * In memory only. Bounds: the topics that sys-topics.ts declares, and one per node of the cluster.
 */
import { topicMatchesFilter } from '@breakwater/mqtt'
import type { Message } from '@breakwater/bus'

export class ServerTopics {
  readonly #messages = new Map<string, Message>()

  set(message: Message): void {
    this.#messages.set(message.topic, message)
  }

  delete(topic: string): void {
    this.#messages.delete(topic)
  }

  match(filter: string): readonly Message[] {
    const messages = [...this.#messages.values()]
    return messages.filter(({ topic }) => topicMatchesFilter(topic, filter))
  }
}
