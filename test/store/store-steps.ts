/** Steps of tests that drive a store directly. */
import { Message } from '@breakwater/bus'
import type { Appended, PublishEffects } from '@breakwater/store'
import type { OwnedStore } from '@breakwater/store/compliance'

export function message(topic: string, payload = ''): Message {
  return new Message(topic, Buffer.from(payload), 1, false)
}

/** @throws {Error} what `done` was given */
export function append(store: OwnedStore, effects: PublishEffects): Promise<Appended> {
  return new Promise((resolve, reject) => {
    store.append(effects, (error, appended) =>
      error === undefined ? resolve(appended) : reject(error),
    )
  })
}

export function enqueue(store: OwnedStore, clientId: string, payload: string): Promise<Appended> {
  return append(store, { message: message('t', payload), queues: [{ clientId, qos: 1 }] })
}

export async function payloadsOf(store: OwnedStore, clientId: string): Promise<string[]> {
  const queued = await store.readQueue(clientId, 1, 1_000_000, 1_000_000_000)
  return queued.map(({ message: { payload } }) => payload.toString())
}

/** How long it took to fail, and with what: from before it was started, which takes a while by itself. */
export async function failure(
  start: () => Promise<unknown>,
): Promise<{ tookMs: number; message: string }> {
  const startedAt = performance.now()
  const error = await start().then(
    () => new Error('did not fail'),
    (reason: Error) => reason,
  )
  return { tookMs: performance.now() - startedAt, message: error.message }
}
