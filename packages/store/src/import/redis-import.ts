/**
 * Writes what another broker has left into the store. A session appears at once, with all that belongs to it: its
 * queue is written aside, in chunks, and takes its place in the step that makes the session and marks it. Whatever
 * is run again, after an end in the middle too, changes nothing that was imported or is newer.
 *
 * In: what was read elsewhere, checked. Out: `imported`; `before`, by an earlier run; `existing`, and left as it
 * is. Nodes must not run meanwhile. Bounds: what a call is given.
 */
import { encodeMessage, type Message } from '@breakwater/bus'
import { bucketOf, RETAINED_BUCKETS, type Keys, type Servers } from '@breakwater/redis'
import { byBucket, sessionKeys } from '../redis/buckets.ts'
import type { ImportQueue, StagedMessage } from './import-queue.ts'
import { FINISH, IMPORT_ANSWERS, LOOK, RETAIN, STAGE, WILL } from '../scripts/import-scripts.ts'
import { evaluate } from '../scripts/scripts.ts'
import type { StoredSubscription } from '../store.ts'

export type ImportAnswer = (typeof IMPORT_ANSWERS)[number]

export interface ImportedSession {
  readonly clientId: string
  /** Undefined: that of the first client that opens the session. */
  readonly user: string | undefined
  readonly subscriptions: readonly StoredSubscription[]
  /** Packet ids for which PUBREL is owed, in its order. */
  readonly released: readonly number[]
  /** Packet ids of QoS 2 publishes that have taken effect and are not released yet. */
  readonly received: readonly number[]
}

export interface ImportedWill {
  readonly clientId: string
  readonly user: string | undefined
  readonly message: Message
}

export class RedisImport {
  readonly #servers: Servers
  readonly #keys: Keys

  constructor(servers: Servers, keys: Keys) {
    this.#servers = servers
    this.#keys = keys
  }

  /** What would become of a session; of those that `imported` is said of nothing is there yet. */
  async look(clientId: string): Promise<ImportAnswer> {
    const keys = [this.#keys.session(clientId), this.#keys.imported(bucketOf(clientId))]
    return answerOf(await evaluate(this.#servers, LOOK, keys, [clientId]))
  }

  /** Writes a chunk of a queue aside. `begins`: what was there is thrown away. */
  async stage(
    clientId: string,
    queue: ImportQueue,
    messages: readonly StagedMessage[],
    begins: boolean,
  ): Promise<void> {
    const words = messages.flatMap(({ position, bytes }) => [position, bytes])
    const key = this.#keys.importQueue(clientId)
    await evaluate(this.#servers, STAGE, [key], [begins ? 1 : 0, queue.lowest, ...words])
  }

  /** @throws {Error} the queue that was written aside is not there */
  async finish(session: ImportedSession, queue: ImportQueue): Promise<ImportAnswer> {
    const { clientId, user, subscriptions, released, received } = session
    const pairs = subscriptions.map(({ filter, qos }) => [filter, qos])
    const [, ...keys] = sessionKeys(this.#keys, clientId)
    const aside = [this.#keys.importQueue(clientId), this.#keys.imported(bucketOf(clientId))]
    const answer = await evaluate(
      this.#servers,
      FINISH,
      [...keys, ...aside],
      [
        clientId,
        Date.now(),
        ...userWords(user),
        queue.count,
        queue.bytes,
        queue.last,
        queue.sent,
        pairs.length === 0 ? '' : JSON.stringify(pairs),
        released.length,
        ...released,
        ...received,
      ],
    )
    if (answer === -1)
      throw new Error(`the queue of ${clientId} is not whole: run the import again`)
    return answerOf(answer)
  }

  /** One answer per message, in no particular order. */
  async retain(messages: readonly Message[]): Promise<readonly ImportAnswer[]> {
    const encoded = new Map(messages.map((message) => [message.topic, encodeMessage(message)]))
    const answers = await Promise.all(
      [...byBucket([...encoded.keys()], RETAINED_BUCKETS)].map(([bucket, topics]) =>
        evaluate(
          this.#servers,
          RETAIN,
          [
            this.#keys.retained(bucket),
            this.#keys.importedTopics(bucket),
            this.#keys.retainedUsage(bucket),
          ],
          topics.flatMap((topic) => [topic, encoded.get(topic) as Buffer]),
        ),
      ),
    )
    return (answers as number[][]).flat().map(answerOf)
  }

  /** The will is one of a client that `nodeId`, which is gone, has left behind. */
  async will({ clientId, user, message }: ImportedWill, nodeId: string): Promise<ImportAnswer> {
    const bucket = bucketOf(clientId)
    const keys = [this.#keys.owners(bucket), this.#keys.wills(bucket), this.#keys.imported(bucket)]
    const words = [clientId, nodeId, ...userWords(user), encodeMessage(message)]
    return answerOf(await evaluate(this.#servers, WILL, keys, words))
  }
}

function userWords(user: string | undefined): readonly [user: string, hasOne: number] {
  return [user ?? '', user === undefined ? 0 : 1]
}

function answerOf(answer: unknown): ImportAnswer {
  return IMPORT_ANSWERS[Number(answer)] as ImportAnswer
}
