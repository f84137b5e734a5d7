import { expect, test } from 'vitest'
import { PasswordFile, setPassword } from './password-file.ts'

test('a user is added at the end, a known one replaced, the others keep their lines', async () => {
  const first = await setPassword('# users\n', 'keeper', 'one')
  const second = await setPassword(first, 'pilot', 'two')
  const third = await setPassword(second, 'keeper', 'three')
  const names = third.split('\n').map((line) => line.split(':')[0])
  expect(names).toEqual(['# users', 'pilot', 'keeper', ''])
  const file = PasswordFile.parse(third, 'passwords')
  expect(file.users).toBe(2)
  for (const [user, password, right] of [
    ['keeper', 'three', true],
    ['keeper', 'one', false],
    ['pilot', 'two', true],
    ['nobody', 'two', false],
    ['__proto__', '', false],
  ] as const)
    expect(await file.verify(user, Buffer.from(password))).toBe(right)
})

test.each(['', 'a:b', '#x', 'a\nb', 'a\r'])('a user name %j is refused', async (name) => {
  await expect(setPassword('', name, 'x')).rejects.toThrow(/^passwd: the user name /)
})

test.each([
  'keeper',
  'keeper:',
  'keeper:sesame',
  ':$scrypt$16384$8$5$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA',
  'keeper:$scrypt$16383$8$5$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA',
  'keeper:$scrypt$1073741824$8$5$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA',
  'keeper:$scrypt$16384$0$5$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA',
  'keeper:$scrypt$16384$8$5$AAAA$AAAA',
  'keeper:$scrypt$16384$8$5$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA$x',
])('the line %j is refused by its number, not by its text', (line) => {
  const parse = () => PasswordFile.parse(`# users\n\n${line}\n`, 'passwords')
  expect(parse).toThrow(/^BREAKWATER_PASSWORD_FILE: passwords line 3 is not name:/)
  expect(parse).not.toThrow(/sesame/)
})

test('a user that does not exist takes as long as a wrong password', async () => {
  const file = PasswordFile.parse(await setPassword('', 'alice', 'right'), 'users')
  const shortestMs = async (username: string): Promise<number> => {
    let shortest = Infinity
    for (let time = 0; time < 4; time += 1) {
      const start = performance.now()
      expect(await file.verify(username, Buffer.from(`wrong ${time}`))).toBe(false)
      shortest = Math.min(shortest, performance.now() - start)
    }
    return shortest
  }
  const known = await shortestMs('alice')
  const unknown = await shortestMs('mallory')
  // Without a check it would be a thousandth; what else the machine does is far less than three times.
  expect(unknown).toBeGreaterThan(known / 3)
  expect(known).toBeGreaterThan(unknown / 3)
})

test('a password that was right before is recognised without deriving a hash, a wrong one never', async () => {
  const file = PasswordFile.parse(await setPassword('', 'alice', 'right'), 'users')
  const milliseconds = async (password: string): Promise<number> => {
    const start = performance.now()
    expect(await file.verify('alice', Buffer.from(password))).toBe(password === 'right')
    return performance.now() - start
  }
  const first = await milliseconds('right')
  const again = await milliseconds('right')
  const wrong = await milliseconds('wrong')
  expect(again).toBeLessThan(first / 5)
  expect(wrong).toBeGreaterThan(again * 5)
})
