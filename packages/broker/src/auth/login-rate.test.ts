import { limitsWith } from '@breakwater/config'
import { expect, test } from 'vitest'
import type { Answer } from './answer.ts'
import { LoginRate } from './login-rate.ts'

const WRONG: Answer = { refused: 'bad-credentials' }
const LOST = 'login-rate'

function setUp(perUser: number, perSite = 0, lots = 1) {
  let checks = 0
  const rate = new LoginRate(
    limitsWith({
      failedLoginsPerUserPerMinuteMax: perUser,
      failedLoginsPerAddressPerMinuteMax: perSite,
      throttledLoginsPerSecondMax: lots,
    }),
  )
  const ask = async (username: string, answer: Answer = WRONG, site?: string): Promise<string> => {
    const given = await rate.ask({ username, site }, async () => {
      checks += 1
      return await Promise.resolve(answer)
    })
    return 'refused' in given ? given.refused : `welcome ${given.username}`
  }
  return { rate, ask, checks: () => checks }
}

test('failed logins use up tokens of a name, whether it exists or not; right ones do not', async () => {
  const { ask, checks } = setUp(3)
  for (let time = 0; time < 10; time += 1)
    expect(await ask('ann', { username: 'ann' })).toBe('welcome ann')
  for (let time = 0; time < 3; time += 1) expect(await ask('ann')).toBe('bad-credentials')
  // No token is left: they draw lots, and all but one find out at once.
  const drawn = await Promise.all([ask('ann'), ask('ann'), ask('ann'), ask('ann')])
  expect(drawn.toSorted()).toEqual(['bad-credentials', LOST, LOST, LOST])
  expect(await ask('bob')).toBe('bad-credentials')
  expect(checks()).toBe(15)
})

test('tries at once do not get past the bound by being at once', async () => {
  const { ask } = setUp(5)
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('ann')))
  // The tokens, and one lot a second; a slow machine takes no more than a few seconds.
  expect(answers.filter((answer) => answer === 'bad-credentials').length).toBe(6)
})

test('each try of a second has the same chance, whenever it came', async () => {
  const { rate, ask } = setUp(1, 0, 1)
  await ask('ann')
  let wins = 0
  for (let round = 0; round < 2; round += 1) {
    const tries = Array.from({ length: 40 }, (_, place) =>
      ask('ann', { username: String(place) }).then((answer) => {
        if (answer.startsWith('welcome')) wins += 1
      }),
    )
    await Promise.all(tries)
  }
  expect(wins).toBe(2)
  rate[Symbol.dispose]()
})

test('addresses have tokens of their own, only where they are known', async () => {
  const { ask } = setUp(0, 2)
  for (const username of ['a', 'b', 'c', 'd']) expect(await ask(username)).toBe('bad-credentials')
  expect(await ask('a', WRONG, '192.0.2.1')).toBe('bad-credentials')
  expect(await ask('b', WRONG, '192.0.2.1')).toBe('bad-credentials')
  const drawn = await Promise.all(['c', 'd'].map((name) => ask(name, WRONG, '192.0.2.1')))
  expect(drawn.toSorted()).toEqual(['bad-credentials', LOST])
  expect(await ask('e', WRONG, '192.0.2.2')).toBe('bad-credentials')
})

test('who could not be checked has not failed', async () => {
  const { ask } = setUp(1)
  for (let time = 0; time < 3; time += 1)
    expect(await ask('ann', { refused: 'authentication-unavailable' })).toBe(
      'authentication-unavailable',
    )
  expect(await ask('ann')).toBe('bad-credentials')
})

test('the table does not grow beyond its bound', async () => {
  const { rate, ask } = setUp(1)
  for (let name = 0; name < 70_000; name += 1) await ask(`u${name}`, { username: 'x' })
  expect(rate.keys).toBe(65_536)
})

test('at the end of the node whoever waits is told', async () => {
  const { rate, ask } = setUp(1)
  await ask('ann')
  const waiting = ask('ann')
  rate[Symbol.dispose]()
  expect(await waiting).toBe(LOST)
})
