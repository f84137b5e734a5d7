import { MemoryStore, type RevocationStep, type RevocationStore } from '@breakwater/store'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { normalValue, type Revocable, type Revocation } from './revocation.ts'
import { Revocations } from './revocations.ts'

const MAX = 100
const RECHECK_MS = 5_000

function memory(): RevocationStore {
  return new MemoryStore({ queueMessagesMax: 1, queueBytesMax: 1 }).revocations
}

function revocable(clientId: string, user = '', notAfterMs?: number): Revocable {
  const numbers = { serial: 'A1', fingerprint: 'F'.repeat(64) }
  return {
    clientId,
    user,
    certificate: notAfterMs === undefined ? undefined : { ...numbers, notAfterMs },
  }
}

function of(key: Revocation['key'], value: string, untilMs?: number): Omit<Revocation, 'id'> {
  const fixed = untilMs !== undefined
  return { key, value, reason: undefined, sinceMs: Date.now(), untilMs, fixed }
}

/** A store that counts what is asked of it, and may lose everything. */
class CountedStore implements RevocationStore {
  #store = memory()
  reads = 0

  lose(): void {
    this.#store = memory()
  }

  read(known: number): ReturnType<RevocationStore['read']> {
    this.reads += 1
    return this.#store.read(known)
  }

  change(...all: Parameters<RevocationStore['change']>): ReturnType<RevocationStore['change']> {
    return this.#store.change(...all)
  }

  restore(...all: Parameters<RevocationStore['restore']>): ReturnType<RevocationStore['restore']> {
    return this.#store.restore(...all)
  }
}

interface Member {
  readonly revocations: Revocations
  enforced: number
  /** Notices to it are lost. */
  deaf: boolean
}

async function membersOf(store: RevocationStore, count: number): Promise<readonly Member[]> {
  const members: Member[] = []
  for (let index = 0; index < count; index += 1) {
    const revocations = new Revocations({
      entriesMax: MAX,
      bytesMax: 1_000_000,
      enforce: async () => {
        member.enforced += 1
        return 0
      },
      onChange: () => undefined,
      onFault: (error) => {
        throw error
      },
    })
    const member: Member = { revocations, enforced: 0, deaf: false }
    const tell = (step: RevocationStep): void => {
      for (const other of members)
        if (other !== member && !other.deaf) other.revocations.stepped(step)
    }
    await revocations.start({ store, tell })
    members.push(member)
  }
  return members
}

function idsOf({ revocations }: Member): string[] {
  return revocations
    .list()
    .map(({ id }) => id)
    .toSorted()
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a change of revocations', () => {
  it('is in force at other nodes by its notice, without a read of the store', async () => {
    const store = new CountedStore()
    const [a, b] = (await membersOf(store, 2)) as [Member, Member]
    store.reads = 0
    await a.revocations.add(of('clientId', 'c'))
    await b.revocations.add(of('username', 'u'))
    expect([idsOf(a), idsOf(b)]).toEqual([
      ['clientId:c', 'username:u'],
      ['clientId:c', 'username:u'],
    ])
    expect([store.reads, a.enforced, b.enforced]).toEqual([0, 2, 2])
    expect(b.revocations.find(revocable('c'))?.id).toBe('clientId:c')
    expect(b.revocations.find(revocable('d'))).toBeUndefined()
    expect(await b.revocations.remove('clientId:c')).toBe(true)
    expect(await b.revocations.remove('clientId:c')).toBe(false)
    expect([idsOf(a), idsOf(b), store.reads]).toEqual([['username:u'], ['username:u'], 0])
  })

  it('whose notice was lost is found with the next change, or by the periodic check', async () => {
    const [a, b] = (await membersOf(memory(), 2)) as [Member, Member]
    b.deaf = true
    await a.revocations.add(of('clientId', 'c'))
    expect(idsOf(b)).toEqual([])
    await vi.advanceTimersByTimeAsync(RECHECK_MS)
    expect(idsOf(b)).toEqual(['clientId:c'])
    await a.revocations.add(of('clientId', 'd'))
    b.deaf = false
    await a.revocations.add(of('clientId', 'e'))
    await vi.waitFor(() => expect(idsOf(b)).toEqual(['clientId:c', 'clientId:d', 'clientId:e']))
  })

  it('is refused beyond the maximum number of revocations', async () => {
    const [a] = (await membersOf(memory(), 1)) as [Member]
    for (let index = 0; index < MAX; index += 1) await a.revocations.add(of('clientId', `${index}`))
    expect(await a.revocations.add(of('clientId', 'more'))).toBe('full')
    expect(idsOf(a)).toHaveLength(MAX)
  })
})

describe('a revocation that the store has lost', () => {
  it('is restored, also when only a node that notices the loss later knows it', async () => {
    const store = new CountedStore()
    const [a, b] = (await membersOf(store, 2)) as [Member, Member]
    await a.revocations.add(of('clientId', 'both'))
    b.deaf = true
    await a.revocations.add(of('clientId', 'only a'))
    store.lose()
    vi.advanceTimersByTime(1)
    b.revocations.refresh()
    await vi.waitFor(async () =>
      expect([...((await store.read(-1))?.entries.keys() ?? [])]).toEqual(['clientId:both']),
    )
    a.revocations.refresh()
    const all = ['clientId:both', 'clientId:only a']
    await vi.waitFor(async () =>
      expect([...((await store.read(-1))?.entries.keys() ?? [])]).toEqual(all),
    )
    expect(idsOf(a)).toEqual(all)
  })

  it('is restored before a change is made', async () => {
    const store = new CountedStore()
    const [a] = (await membersOf(store, 1)) as [Member]
    await a.revocations.add(of('clientId', 'first'))
    store.lose()
    await a.revocations.add(of('clientId', 'second'))
    expect(new Set((await store.read(-1))?.entries.keys())).toEqual(new Set(idsOf(a)))
    expect(idsOf(a)).toEqual(['clientId:first', 'clientId:second'])
  })

  it('is searched for when another store answers, whatever its version', async () => {
    const store = new CountedStore()
    const [a] = (await membersOf(store, 1)) as [Member]
    await a.revocations.add(of('clientId', 'lost'))
    store.lose()
    for (const id of ['clientId:x', 'clientId:y']) await store.change({ id, text: '{}' }, 0, MAX)
    a.revocations.mayHaveLost()
    await vi.waitFor(async () =>
      expect([...((await store.read(-1))?.entries.keys() ?? [])]).toContain('clientId:lost'),
    )
    expect(idsOf(a)).toEqual(['clientId:lost'])
  })
})

describe('the end of a revocation', () => {
  it('is the requested time, also in the store', async () => {
    const [a, b] = (await membersOf(memory(), 2)) as [Member, Member]
    await a.revocations.add(of('serial', 'A1', Date.now() + 60_000))
    const certified = revocable('c', '', Date.now() + 3_600_000)
    expect(a.revocations.find(certified)).toBeDefined()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(a.revocations.find(certified)).toBeUndefined()
    await vi.advanceTimersByTimeAsync(RECHECK_MS)
    expect([a.revocations.size, b.revocations.size]).toEqual([0, 0])
  })

  it('without a requested time is the latest expiry of the matching certificates', async () => {
    const [a, b] = (await membersOf(memory(), 2)) as [Member, Member]
    await a.revocations.add(of('serial', 'A1'))
    const untilAt = ({ revocations }: Member): number | undefined =>
      revocations.get('serial:A1')?.untilMs
    for (const notAfterMs of [Date.now() + 2_000, Date.now() + 9_000, Date.now() + 1_000]) {
      b.revocations.find(revocable('c', '', notAfterMs))
      await vi.advanceTimersByTimeAsync(0)
    }
    expect([untilAt(a), untilAt(b)]).toEqual([Date.now() + 9_000, Date.now() + 9_000])
  })

  it('without a requested time never comes for a client or a user, whose next certificate is revoked too', async () => {
    const [a] = (await membersOf(memory(), 1)) as [Member]
    await a.revocations.add(of('username', 'u'))
    expect(a.revocations.find(revocable('c', 'u', Date.now() + 1_000))).toBeDefined()
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(a.revocations.find(revocable('c', 'u'))?.untilMs).toBeUndefined()
  })
})

it.each([
  ['serial', '00:0a:B1', 'AB1'],
  ['serial', '0', '0'],
  ['serial', '', undefined],
  ['serial', '0x1', undefined],
  ['fingerprint', 'ab:'.repeat(31) + 'cd', 'AB'.repeat(31) + 'CD'],
  ['fingerprint', 'ab', undefined],
  ['clientId', 'a:B', 'a:B'],
  ['username', '', undefined],
] as const)('the normal form of the revocation %s %j is %j', (key, text, value) => {
  expect(normalValue(key, text)).toBe(value)
})
