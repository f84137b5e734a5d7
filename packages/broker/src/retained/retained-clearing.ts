/**
 * Retained messages that an operator wants gone: those whose topics a filter matches. Each is cleared as a client
 * would do it, by an empty retained message, which also goes to whoever is connected and has subscribed to it, at
 * QoS 0: nothing is queued for it.
 *
 * First this node reads the log to where it ends, so that its index has every message whose publisher has been
 * acknowledged. A message that is retained meanwhile may be cleared or stay. Bounds: BATCH at once, WALK_STEPS of the
 * index in one turn of the event loop, CLEARED_MAX and TIME_MS for one call; then there may be more.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Message } from '@breakwater/bus'
import type { Cluster } from '@breakwater/cluster'
import type { Publisher, Router } from '../route/router.ts'

const BATCH = 100
const CLEARED_MAX = 10_000
/** Below the time that the admin API waits for the store. */
const TIME_MS = 2_500
const WALK_STEPS = 10_000

export interface Cleared {
  readonly cleared: number
  /** Whether it stopped at a bound. */
  readonly more: boolean
}

/** @throws {Error} the end of the log, or the store, was not reached in time; some may be cleared */
export async function clearRetained(
  filter: string,
  { cluster, router }: { readonly cluster: Cluster; readonly router: Router },
): Promise<Cleared> {
  const endMs = performance.now() + TIME_MS
  await new Promise<void>((resolve, reject) => {
    cluster.whenCaughtUp((error) => (error === undefined ? resolve() : reject(error)))
  })
  const publisher: Publisher = { clientId: '', appends: 0 }
  const walk = router.retained.match(filter, WALK_STEPS)
  let cleared = 0
  let batch: Promise<void>[] = []
  for (let next = walk.next(); next.done !== true; next = walk.next()) {
    if (cleared === CLEARED_MAX || performance.now() > endMs) {
      await Promise.all(batch)
      return { cleared, more: true }
    }
    if (next.value === undefined) {
      await turn()
      continue
    }
    batch.push(clear(next.value, router, publisher))
    cleared += 1
    if (batch.length < BATCH) continue
    await Promise.all(batch)
    batch = []
  }
  await Promise.all(batch)
  return { cleared, more: false }
}

function clear(topic: string, router: Router, publisher: Publisher): Promise<void> {
  return new Promise((resolve, reject) => {
    router.publishOwn(new Message(topic, Buffer.alloc(0), 0, true), publisher, (error) =>
      error === undefined ? resolve() : reject(error),
    )
  })
}
