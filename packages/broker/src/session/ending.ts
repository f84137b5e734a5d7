/**
 * An operator ends a stored session, wherever its client is: its client id is claimed here as by a client of the
 * same user that keeps no session, which ends the stored one in the same step of the store, and is then left.
 * So a former owner that does not let go is fenced. A client that is connected is closed first, and its node
 * publishes its will: what is claimed sooner would call that off, as a client does that is back.
 *
 * Bounds: ATTEMPTS, where clients take the client id meanwhile; `patienceMs` until a node has left its client,
 * and those of ownership.ts, for each.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { OpenedSession, Store } from '@breakwater/store'
import type { Contender, End } from './contender.ts'

const ATTEMPTS = 3
const LOOK_AGAIN_MS = 20

class Nobody implements Contender {
  readonly clientId: string
  readonly user: string
  readonly persistent = false
  readonly account = undefined
  readonly will = undefined

  constructor(clientId: string, user: string) {
    this.clientId = clientId
    this.user = user
  }

  async finish(): Promise<void> {}

  takenOver(): void {}
}

export interface EndingParts {
  readonly store: Pick<Store, 'sessionFacts'>
  readonly ownership: {
    claim(contender: Contender): Promise<OpenedSession | string | undefined>
    ended(contender: Contender, how: End): void
  }
  /** Closes its client. */
  readonly kick: (clientId: string) => Promise<unknown>
  readonly patienceMs: number
}

/** Resolves with whether there was one. @throws {Error} the store does not answer */
export async function endStoredSession(parts: EndingParts, clientId: string): Promise<boolean> {
  const { store, ownership } = parts
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const facts = await store.sessionFacts(clientId)
    if (facts === undefined) return attempt > 0
    if (facts.nodeId !== undefined) await closed(parts, clientId)
    const nobody = new Nobody(clientId, facts.user ?? '')
    try {
      if (typeof (await ownership.claim(nobody)) === 'object') return true
    } finally {
      ownership.ended(nobody, 'left')
    }
  }
  throw new Error(`clients take ${ATTEMPTS} times what is being ended`)
}

/** Resolves when its node has left the client, or has had time enough. */
async function closed({ store, kick, patienceMs }: EndingParts, clientId: string): Promise<void> {
  const until = performance.now() + patienceMs
  await kick(clientId)
  while (performance.now() < until) {
    if ((await store.sessionFacts(clientId))?.nodeId === undefined) return
    await delay(LOOK_AGAIN_MS, undefined, { ref: false })
  }
}
