import { expect, test } from 'vitest'
import { AnswerCache } from './answer-cache.ts'

const LATER = Date.now() + 600_000
const WELCOME = { username: undefined }

test('a cached answer of the auth service is found until it expires', () => {
  const cache = new AnswerCache()
  cache.add('a', 'ann', { username: 'ann' }, LATER, 100)
  cache.add('b', 'bob', { username: 'bob' }, Date.now() - 1, 100)
  expect(cache.find('a')).toEqual({ username: 'ann' })
  expect(cache.find('b')).toBeUndefined()
  expect(cache.size).toBe(1)
})

test('a user name with many cached answers evicts its own answers, not those of other users', () => {
  const cache = new AnswerCache()
  for (let name = 0; name < 100; name += 1)
    cache.add(`own ${name}`, `u${name}`, WELCOME, LATER, 100)
  for (let count = 0; count < 120_000; count += 1)
    cache.add(`flood ${count}`, 'flood', WELCOME, LATER, 100)
  expect(cache.size).toBe(100_000)
  for (let name = 0; name < 100; name += 1) expect(cache.find(`own ${name}`)).toBe(WELCOME)
})

test('the bytes of all cached answers are bounded', () => {
  const cache = new AnswerCache()
  for (let count = 0; count < 100; count += 1)
    cache.add(`a ${count}`, `u${count}`, WELCOME, LATER, 1_048_576)
  expect(cache.size).toBe(64)
  expect(cache.find('a 99')).toBe(WELCOME)
})
