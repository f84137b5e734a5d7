/**
 * Retained messages in Redis: a few hashes of topics. Which topics there are is known to every node, so that
 * nothing here looks for a filter. Bounds: so many topics per script, and so many bytes of messages.
 */
import type { Message } from '@breakwater/bus'
import { isValidTopicName } from '@breakwater/mqtt'
import { RETAINED_BUCKETS, type Keys, type OnBadValue, type Servers } from '@breakwater/redis'
import { byBucket, pipelined } from './buckets.ts'
import { readableMessage } from './readable-message.ts'
import { evaluate, READ_RETAINED, SCAN_TOPICS, TOPICS_EXIST } from '../scripts/scripts.ts'
import type { RetainedRead } from '../store.ts'

/** Of one hash in one step: so many messages pass through the script's memory. */
const SCAN_COUNT = 100
/** Of one script call: about 1 ms of the server. */
const EXIST_TOPICS_MAX = 1_000

export class RedisRetained {
  readonly #control: Servers
  readonly #keys: Keys
  readonly #onBadValue: OnBadValue

  constructor(parts: { control: Servers; keys: Keys; onBadValue: OnBadValue }) {
    this.#control = parts.control
    this.#keys = parts.keys
    this.#onBadValue = parts.onBadValue
  }

  async *topics(): AsyncIterable<readonly string[]> {
    let scans = Array.from({ length: RETAINED_BUCKETS }, (_, bucket) => {
      return { key: this.#keys.retained(bucket), cursor: '0' }
    })
    while (scans.length > 0) {
      const answers = await Promise.all(
        scans.map(({ key, cursor }) =>
          evaluate(this.#control, SCAN_TOPICS, [key], [cursor, SCAN_COUNT]),
        ),
      )
      const topics: string[] = []
      scans = scans.flatMap(({ key }, index) => {
        const [next, found] = answers[index] as [Buffer, Buffer[]]
        for (const bytes of found) {
          const topic = bytes.toString()
          if (isValidTopicName(topic)) topics.push(topic)
          else this.#onBadValue({ kind: 'retained', key, why: 'a topic is none' })
        }
        const cursor = next.toString()
        return cursor === '0' ? [] : [{ key, cursor }]
      })
      if (topics.length > 0) yield topics
    }
  }

  /** Of all messages. */
  async bytes(): Promise<number> {
    const answers = await pipelined(
      this.#control,
      Array.from({ length: RETAINED_BUCKETS }, (_, bucket) => [
        'hget',
        this.#keys.retainedUsage(bucket),
        'bytes',
      ]),
    )
    return answers.reduce<number>((sum, bytes) => sum + Number(bytes ?? 0), 0)
  }

  async exist(topics: readonly string[]): Promise<readonly boolean[]> {
    const answer: boolean[] = []
    for (let start = 0; start < topics.length; start += EXIST_TOPICS_MAX) {
      const chunk = topics.slice(start, start + EXIST_TOPICS_MAX)
      const found = new Set<string>()
      await Promise.all(
        [...byBucket(chunk, RETAINED_BUCKETS)].map(async ([bucket, asked]) => {
          const key = this.#keys.retained(bucket)
          const exist = (await evaluate(this.#control, TOPICS_EXIST, [key], asked)) as number[]
          for (const [index, topic] of asked.entries()) if (exist[index] === 1) found.add(topic)
        }),
      )
      for (const topic of chunk) answer.push(found.has(topic))
    }
    return answer
  }

  async read(topics: readonly string[], bytesMax: number): Promise<RetainedRead> {
    const buckets = [...byBucket(topics, RETAINED_BUCKETS)]
    const bucketBytesMax = Math.floor(bytesMax / Math.max(1, buckets.length))
    const answers = await Promise.all(
      buckets.map(([bucket, asked]) =>
        evaluate(
          this.#control,
          READ_RETAINED,
          [this.#keys.retained(bucket)],
          [bucketBytesMax, ...asked],
        ),
      ),
    )
    const messages: Message[] = []
    const rest: string[] = []
    for (const [index, [bucket, asked]] of buckets.entries()) {
      const [seen, ...found] = answers[index] as [number, ...Buffer[]]
      const key = this.#keys.retained(bucket)
      for (const bytes of found) {
        const message = readableMessage(bytes, key, this.#onBadValue)
        if (message !== undefined) messages.push(message)
      }
      rest.push(...asked.slice(seen))
    }
    return { messages, rest }
  }
}
