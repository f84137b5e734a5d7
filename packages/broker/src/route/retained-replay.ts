/**
 * Retained messages for new subscriptions, after their SUBACK [MQTT-3.3.1-6].
 *
 * The routes are programmed before the store is read, so nothing falls between live and retained; a topic
 * whose newer retained message went out live in the meantime is left out, so old never follows new. Bounds:
 * `retainedReplayMessagesMax` per SUBSCRIBE; it waits whenever the client's write queue is full.
 */
import type { QoS } from '@breakwater/bus'
import type { Store, StoredSubscription } from '@breakwater/store'
import type { Events } from '../events.ts'
import type { Session } from '../session/session.ts'

export async function replayRetained(
  session: Session,
  subscriptions: readonly StoredSubscription[],
  liveMeanwhile: ReadonlySet<string>,
  { store, events, messagesMax }: { store: Store; events: Events; messagesMax: number },
): Promise<void> {
  let sent = 0
  for (const { filter, qos } of subscriptions) {
    for await (const chunk of store.retained(filter)) {
      for (const message of chunk) {
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
