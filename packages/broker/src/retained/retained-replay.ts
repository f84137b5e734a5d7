/**
 * Retained messages for new subscriptions, after their SUBACK [MQTT-3.3.1-6].
 *
 * First this node reads the log to where it ended when the SUBSCRIBE came: then its index has every message
 * whose publisher had been acknowledged, at any node. The filters are programmed before, so nothing falls
 * between live and retained; a topic whose newer retained message went out live in the meantime is left out,
 * so old never follows new. Under `$SYS` it is what the node itself has said last. Bounds: CHUNK_TOPICS and CHUNK_BYTES are read at once, and only while the client's
 * write queue has room; WALK_STEPS of the index in one turn of the event loop; `retainedReplayMessagesMax` per
 * SUBSCRIBE.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { isServerTopic, type QoS } from '@breakwater/mqtt'
import type { Cluster } from '@breakwater/cluster'
import type { StoredSubscription } from '@breakwater/store'
import type { Events } from '../observe/events.ts'
import type { Session } from '../session/session.ts'
import type { RetainedTopics } from './retained-topics.ts'
import type { ServerTopics } from './server-topics.ts'

const CHUNK_TOPICS = 256
const CHUNK_BYTES = 262_144
/** About 1 ms. */
const WALK_STEPS = 10_000

export interface ReplayOptions {
  readonly cluster: Cluster
  readonly retained: RetainedTopics
  readonly server: ServerTopics
  readonly events: Events
  readonly messagesMax: number
}

/** @throws {Error} the end of the log, or the store, was not reached in time */
export async function replayRetained(
  session: Session,
  subscriptions: readonly StoredSubscription[],
  liveMeanwhile: ReadonlySet<string>,
  { cluster, retained, server, events, messagesMax }: ReplayOptions,
): Promise<void> {
  if (subscriptions.length === 0) return
  await caughtUp(cluster)
  let sent = 0
  for (const { filter, qos } of subscriptions) {
    // Nobody else's messages are retained there.
    if (isServerTopic(filter)) {
      for (const message of server.match(filter)) {
        await session.outbound.ready()
        if (!session.connection.open) return
        session.outbound.replay(message, 0)
      }
      continue
    }
    const walk = retained.match(filter, WALK_STEPS)
    for (;;) {
      await session.outbound.ready()
      if (!session.connection.open) return
      let topics = await nextOf(walk)
      if (topics.length === 0) break
      if (sent >= messagesMax) {
        // Not read only to be counted: `qos` is the most that they could have had.
        events.dropped('retained-replay-limit', qos, topics.length)
        await turn()
        continue
      }
      while (topics.length > 0) {
        const { messages, rest } = await retained.read(topics, CHUNK_BYTES)
        topics = rest
        for (const message of messages) {
          await session.outbound.ready()
          if (!session.connection.open) return
          // Nothing may come between this question and the replay.
          if (liveMeanwhile.has(message.topic)) continue
          const granted = Math.min(message.qos, qos) as QoS
          if (sent >= messagesMax) {
            events.dropped('retained-replay-limit', granted)
            continue
          }
          session.outbound.replay(message, granted)
          sent += 1
        }
      }
    }
  }
}

function caughtUp(cluster: Cluster): Promise<void> {
  return new Promise((resolve, reject) => {
    cluster.whenCaughtUp((error) => (error === undefined ? resolve() : reject(error)))
  })
}

/** None: the walk has ended. */
async function nextOf(
  walk: Iterator<string | undefined, void, undefined>,
): Promise<readonly string[]> {
  const topics: string[] = []
  while (topics.length < CHUNK_TOPICS) {
    const next = walk.next()
    if (next.done === true) break
    if (next.value === undefined) await turn()
    else topics.push(next.value)
  }
  return topics
}
