import { expect, test } from 'vitest'
import { PasswordFile, setPassword } from './password-file.ts'

test('a new user is added at the end of the password file, an existing user is replaced, other lines are kept', async () => {
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
])('the invalid line %j is reported by its number, not by its text', (line) => {
  const parse = () => PasswordFile.parse(`# users\n\n${line}\n`, 'passwords')
  expect(parse).toThrow(/^BREAKWATER_PASSWORD_FILE: passwords line 3 is not name:/)
  expect(parse).not.toThrow(/sesame/)
})

test('an unknown user is refused no sooner than a wrong password, and costs no hash', async () => {
  const file = PasswordFile.parse(await setPassword('', 'alice', 'right'), 'users')
  const check = async (username: string): Promise<{ cpu: number; elapsedMs: number }> => {
    const startedAt = performance.now()
    const cpu = await cpuMicroseconds(() => file.verify(username, Buffer.from('wrong')), false)
    return { cpu, elapsedMs: performance.now() - startedAt }
  }
  const known = await check('alice')
  const strangers = await Promise.all(['mallory', 'eve', '__proto__'].map(check))
  // A timer may be a millisecond early; what else the machine does only makes it later.
  for (const { elapsedMs } of strangers)
    expect(elapsedMs).toBeGreaterThan(known.elapsedMs * 0.9 - 2)
  expect(Math.min(...strangers.map(({ cpu }) => cpu))).toBeLessThan(known.cpu / 5)
})

test('an unknown user takes the time of one hash when the password file has no users', async () => {
  const file = PasswordFile.parse('', 'users')
  const first = await cpuMicroseconds(() => file.verify('mallory', Buffer.from('x')), false)
  const again = await cpuMicroseconds(() => file.verify('mallory', Buffer.from('x')), false)
  expect(again).toBeLessThan(first / 5)
})

test('a password that was right before is accepted without deriving its hash again, a wrong password never', async () => {
  const file = PasswordFile.parse(await setPassword('', 'alice', 'right'), 'users')
  const cost = (password: string): Promise<number> =>
    cpuMicroseconds(() => file.verify('alice', Buffer.from(password)), password === 'right')
  const first = await cost('right')
  const again = await cost('right')
  const wrong = await cost('wrong')
  expect(again).toBeLessThan(first / 5)
  expect(wrong).toBeGreaterThan(again * 5)
})

/** Of this process, the threads that derive hashes included. */
async function cpuMicroseconds(check: () => Promise<boolean>, isRight: boolean): Promise<number> {
  const before = process.cpuUsage()
  expect(await check()).toBe(isRight)
  const { user, system } = process.cpuUsage(before)
  return user + system
}
