import { limitsWith, type Limits } from '@breakwater/config'
import { onTestFinished, expect, test } from 'vitest'
import type { Answer, LoginClient } from './answer.ts'
import { FailedLogins } from './failed-logins.ts'
import { LoginQueue, type Login, type LoginDrop, type Outcome } from './login-queue.ts'

const RIGHT: Answer = { username: 'x' }
const WRONG: Answer = { refused: 'bad-credentials' }

interface Asked {
  readonly client: LoginClient
  readonly outcome: Promise<Outcome>
}

/** A queue whose checks end when the test says so. */
function setUp(limits: Partial<Limits> = {}, places = 1) {
  const begun: string[] = []
  const dropped: LoginDrop[] = []
  const ends = new Map<string, (answer: Answer) => void>()
  const failed = new FailedLogins(
    limitsWith({
      failedLoginsPerUserPerMinuteMax: 0,
      failedLoginsPerAddressPerMinuteMax: 0,
      ...limits,
    }),
  )
  const queue = new LoginQueue({
    limits: limitsWith(limits),
    failed,
    places: () => places,
    onBegun: () => undefined,
    onDropped: (why, logins) => dropped.push(...Array.from({ length: logins }, () => why)),
    onDrawn: () => undefined,
  })
  onTestFinished(() => queue[Symbol.dispose]())
  const ask = (username: string, changes: Partial<Login> = {}): Asked => {
    const client = { open: true, onClosed: undefined } as LoginClient
    const login: Login = {
      username,
      network: undefined,
      mark: `${username} ${begun.length + ends.size} ${Math.random()}`,
      bytes: 100,
      client,
      deadlineMs: performance.now() + 600_000,
      isFree: false,
      ...changes,
    }
    const outcome = queue.ask(login, async () => {
      begun.push(username)
      return await new Promise<Answer>((resolve) => ends.set(username, resolve))
    })
    return { client, outcome }
  }
  /** Ends the check of this name, and lets the next ones begin. */
  const end = async (username: string, answer: Answer = RIGHT): Promise<void> => {
    ends.get(username)?.(answer)
    ends.delete(username)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { queue, failed, ask, end, begun, dropped }
}

async function endAll({ begun, end }: ReturnType<typeof setUp>): Promise<readonly string[]> {
  for (let done = 0; done < begun.length; done += 1) await end(begun[done] ?? '')
  return begun
}

test('logins of one user name from many addresses wait behind the first login of every other user name', async () => {
  const rig = setUp()
  for (let index = 0; index < 20; index += 1) rig.ask('victim', { network: `10.0.0.${index}` })
  rig.ask('ann', { network: '192.0.2.1' })
  rig.ask('bob', { network: '192.0.2.2' })
  expect((await endAll(rig)).slice(0, 4).toSorted()).toEqual(['ann', 'bob', 'victim', 'victim'])
})

test('logins of many user names from one address wait behind the first login from every other address', async () => {
  const rig = setUp()
  for (let index = 0; index < 20; index += 1) rig.ask(`u${index}`, { network: '10.0.0.1' })
  rig.ask('ann', { network: '192.0.2.1' })
  expect((await endAll(rig)).indexOf('ann')).toBeLessThanOrEqual(2)
})

test('logins of different names and addresses are checked in the order in which they came', async () => {
  const rig = setUp()
  const names = Array.from({ length: 10 }, (_, index) => `u${index}`)
  for (const name of names) rig.ask(name, { network: `192.0.2.${name}` })
  expect(await endAll(rig)).toEqual(names)
})

test('equal logins share one check, and all get its answer', async () => {
  const rig = setUp()
  const asked = Array.from({ length: 300 }, () => rig.ask('fleet', { mark: 'same' }))
  await rig.end('fleet')
  expect(rig.begun).toEqual(['fleet'])
  for (const { outcome } of asked) expect(await outcome).toBe(RIGHT)
})

test('a check is skipped when its last client has disconnected, and made when another client still waits', async () => {
  const rig = setUp()
  rig.ask('first')
  const gone = rig.ask('gone')
  const [left, stays] = [rig.ask('shared', { mark: 'same' }), rig.ask('shared', { mark: 'same' })]
  gone.client.onClosed?.()
  left.client.onClosed?.()
  expect(rig.queue.waiting).toBe(1)
  await rig.end('first')
  await rig.end('shared')
  expect(rig.begun).toEqual(['first', 'shared'])
  expect(await stays?.outcome).toBe(RIGHT)
  expect(await gone.outcome).toMatchObject({ refused: 'connection-lost' })
  expect(rig.dropped).toEqual(['left'])
})

test('a check without cost takes no slot, and is bounded per user name like any other check', async () => {
  const rig = setUp({}, 2)
  for (let index = 0; index < 50; index += 1) rig.ask(`stranger-${index}`, { isFree: true })
  for (let index = 0; index < 5; index += 1) rig.ask('one', { isFree: true })
  rig.ask('ann')
  expect(rig.begun.filter((name) => name.startsWith('stranger'))).toHaveLength(50)
  expect(rig.begun.filter((name) => name === 'one')).toHaveLength(2)
  expect(rig.begun).toContain('ann')
})

test('a login that is not checked before its deadline is refused as server unavailable', async () => {
  const rig = setUp()
  rig.ask('first')
  const late = rig.ask('late', { deadlineMs: performance.now() + 1 })
  expect(await late.outcome).toMatchObject({ refused: 'logins-full' })
  expect(rig.dropped).toEqual(['late'])
  expect(rig.queue.waiting).toBe(0)
})

test('a full login queue refuses the login with the last turn, not the first login of another user name', async () => {
  const rig = setUp({ loginsWaitingMax: 4 })
  const flood = Array.from({ length: 5 }, () => rig.ask('victim'))
  const ann = rig.ask('ann')
  expect(await flood.at(-1)?.outcome).toMatchObject({ refused: 'logins-full' })
  await endAll(rig)
  expect(await ann.outcome).toBe(RIGHT)
  expect(rig.dropped).toEqual(['full'])
})

test('the bytes of waiting logins are bounded', async () => {
  const rig = setUp({ loginsWaitingBytesMax: 65_536 })
  rig.ask('first')
  for (const name of ['a', 'b', 'c']) rig.ask(name, { bytes: 30_000 })
  expect(rig.queue.waiting).toBe(2)
  expect(rig.queue.waitingBytes).toBe(60_000)
})

test('logins that arrive while the queue is full share the slots that become free in that second at random', async () => {
  const rig = setUp({ loginsWaitingMax: 2 })
  for (const name of ['first', 'a', 'b']) rig.ask(name)
  const tries = Array.from({ length: 100 }, (_, index) => rig.ask(`try-${index}`))
  await rig.end('first')
  await rig.end('a')
  let lost = 0
  const all = tries.map(async ({ outcome }) => {
    if (((await outcome) as { refused?: string }).refused === 'logins-full') lost += 1
  })
  // Two places are free now; `b` is being checked.
  await expect.poll(() => lost, { timeout: 5_000 }).toBe(98)
  await rig.end('b')
  await endAll(rig)
  await Promise.all(all)
  expect(rig.begun).toHaveLength(5)
})

test('failed logins use up tokens of a user name, existing or not; successful logins do not', async () => {
  const rig = setUp({ failedLoginsPerUserPerMinuteMax: 3 })
  for (const answer of [RIGHT, RIGHT, RIGHT, RIGHT, WRONG, WRONG, WRONG]) {
    const { outcome } = rig.ask('ann')
    await rig.end('ann', answer)
    expect(await outcome).toBe(answer)
  }
  rig.ask('ann')
  rig.ask('bob')
  // That login waits, and no other login does.
  expect(rig.begun.slice(7)).toEqual(['bob'])
})

test('a login that could not be checked does not count as failed', async () => {
  const rig = setUp({ failedLoginsPerUserPerMinuteMax: 1 })
  for (let time = 0; time < 3; time += 1) {
    rig.ask('ann')
    await rig.end('ann', { refused: 'authentication-unavailable' })
  }
  expect(rig.begun).toHaveLength(3)
})

test('without tokens a few logins per second are checked, each with the same chance', async () => {
  const rig = setUp({ failedLoginsPerUserPerMinuteMax: 1, throttledLoginsPerSecondMax: 2 }, 10)
  rig.ask('ann')
  await rig.end('ann', WRONG)
  for (let time = 0; time < 40; time += 1) rig.ask('ann')
  expect(rig.begun).toHaveLength(1)
  await expect.poll(() => rig.begun.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(3)
  expect(rig.queue.waiting).toBeGreaterThan(30)
})

test('each known address has its own login tokens', async () => {
  const rig = setUp({ failedLoginsPerAddressPerMinuteMax: 2 })
  for (const name of ['a', 'b', 'c', 'd']) {
    rig.ask(name)
    await rig.end(name, WRONG)
  }
  for (const name of ['e', 'f']) {
    rig.ask(name, { network: '192.0.2.1' })
    await rig.end(name, WRONG)
  }
  rig.ask('g', { network: '192.0.2.1' })
  rig.ask('h', { network: '192.0.2.2' })
  expect(rig.begun.slice(6)).toEqual(['h'])
})

test('all waiting logins are refused when the node stops', async () => {
  const rig = setUp()
  rig.ask('first')
  const waiting = rig.ask('second')
  rig.queue[Symbol.dispose]()
  expect(await waiting.outcome).toEqual({ refused: 'shutting-down' })
})

test('the table of user names is bounded, and unknown user names evict no existing ones', () => {
  const { failed } = setUp({ failedLoginsPerUserPerMinuteMax: 1 })
  const tokensOf = (username: string, isFree: boolean) =>
    failed.tokensOf({ username, network: undefined, isFree })
  const nowMs = performance.now()
  tokensOf('ann', false)[0]?.bucket.takeIfAny(nowMs)
  for (let name = 0; name < 70_000; name += 1) tokensOf(`u${name}`, true)
  expect(failed.keys).toBe(65_537)
  expect(tokensOf('ann', false)[0]?.bucket.holdsAny(nowMs)).toBe(false)
})
