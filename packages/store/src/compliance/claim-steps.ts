import assert from 'node:assert/strict'
import type { AdoptedClient, Claimed, ClientClaim, Owner, SessionTerms, Store } from '../store.ts'

export const USER = 'user'
export const PERSISTENT: SessionTerms = { persistent: true, user: USER }

/** @throws {Error} it is refused */
export async function claim(
  store: Store,
  clientId: string,
  asked: Partial<ClientClaim> = {},
): Promise<Claimed> {
  const claimed = await store.claimClient({ clientId, nodeId: 'node', ...PERSISTENT, ...asked })
  if (typeof claimed === 'string') throw new Error(`${clientId}: ${claimed}`)
  return claimed
}

export async function owning(
  store: Store,
  clientId: string,
  asked: Partial<ClientClaim> = {},
): Promise<Owner> {
  const { epoch, opened } = await claim(store, clientId, asked)
  assert.notEqual(opened, undefined)
  return { clientId, epoch }
}

export async function adopted(store: Store, from: string, by: string): Promise<AdoptedClient[]> {
  const found: AdoptedClient[] = []
  for await (const chunk of store.adoptClients(from, by)) found.push(...chunk)
  return found
}

/** `client id, topic of the will`, sorted. */
export function topics(found: readonly AdoptedClient[]): string[] {
  return found.map(({ owner, will }) => `${owner.clientId} ${will.topic}`).toSorted()
}
