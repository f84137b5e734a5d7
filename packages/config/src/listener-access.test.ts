import { expect, test } from 'vitest'
import { decideConfig, readSettings } from './index.ts'

/** For each listener whether anonymous clients may come. */
function anonymousAt(environment: Record<string, string>): readonly boolean[] {
  return decideConfig(readSettings(environment)).listeners.map(({ anonymous }) => anonymous)
}

const NAMES = '?client-auth=optional&client-ca=ca.crt&identity=cn'

test.each([
  ['mqtts://127.0.0.1', [true]],
  ['mqtts://127.9.9.9,mqtt://localhost,mqtt://[::1]:1', [true, true, true]],
  ['mqtts://127.0.0.1,mqtts://0.0.0.0:1?anonymous=true', [true, true]],
])('%s lets anonymous clients in at %j', (listen, anonymous) => {
  expect(anonymousAt({ BREAKWATER_LISTEN: listen })).toEqual(anonymous)
})

test.each([
  ['BREAKWATER_PASSWORD_FILE', 'users'],
  ['BREAKWATER_JWT_KEYS', 'keys.json'],
  ['BREAKWATER_AUTH_HTTP_URL', 'https://auth.example'],
])('with %s nobody is anonymous, unless a setting says so', (name, value) => {
  const listen = 'mqtts://127.0.0.1,mqtt://127.0.0.1:1?anonymous=true'
  const environment = { BREAKWATER_LISTEN: listen, [name]: value }
  expect(anonymousAt(environment)).toEqual([false, true])
  expect(anonymousAt({ ...environment, BREAKWATER_ALLOW_ANONYMOUS: 'true' })).toEqual([true, true])
})

test('the parameter of a listener wins over the common setting', () => {
  const environment = { BREAKWATER_PASSWORD_FILE: 'users', BREAKWATER_ALLOW_ANONYMOUS: 'true' }
  const listen = 'mqtts://0.0.0.0,mqtts://0.0.0.0:1?anonymous=false'
  expect(anonymousAt({ ...environment, BREAKWATER_LISTEN: listen })).toEqual([true, false])
})

test('where one listener knows certificates, no other one lets anonymous clients in by itself', () => {
  const listen = `mqtts://127.0.0.1${NAMES},mqtts://127.0.0.1:1?client-auth=none`
  expect(() => anonymousAt({ BREAKWATER_LISTEN: listen })).toThrow(
    /nobody could connect at mqtts-2 \(127.0.0.1:1\):/,
  )
  expect(anonymousAt({ BREAKWATER_LISTEN: `mqtts://127.0.0.1${NAMES}` })).toEqual([false])
})

test.each([
  [
    'mqtts://0.0.0.0',
    {},
    /^BREAKWATER_PASSWORD_FILE: nobody could connect at mqtts \(0.0.0.0:8883\):/,
  ],
  ['mqtts://127.0.0.1,mqtt://[::]', {}, /nobody could connect at mqtt \(:::1883\):/],
  ['mqtt://127.0.0.1?proxy=127.0.0.1', {}, /nobody could connect/],
  ['mqtt://127.0.0.1.example', {}, /nobody could connect/],
  ['mqtts://127.0.0.1', { BREAKWATER_REDIS_URL: 'redis://x' }, /nobody could connect/],
  ['mqtts://127.0.0.1?anonymous=false', {}, /nobody could connect/],
  ['mqtts://127.0.0.1?anonymous=yes', {}, /anonymous must be true or false, not "yes"/],
  [
    'mqtts://127.0.0.1?client-auth=required&client-ca=ca.crt',
    { BREAKWATER_ALLOW_ANONYMOUS: 'false' },
    /nobody could connect/,
  ],
  [
    'mqtts://127.0.0.1',
    { BREAKWATER_CLIENT_ID: '${username}' },
    /clients without credentials have no \$\{username\} for client-id=\$\{username\}/,
  ],
])('%s with %o does not start', (listen, environment, message) => {
  const texts = environment as unknown as Record<string, string>
  expect(() => anonymousAt({ BREAKWATER_LISTEN: listen, ...texts })).toThrow(message)
})
