import { expect, test } from 'vitest'
import { decideConfig, readSettings } from './index.ts'

/** For each listener whether anonymous clients may come. */
function anonymousAt(environment: Record<string, string>): readonly boolean[] {
  return decideConfig(readSettings(environment)).listeners.map(({ anonymous }) => anonymous)
}

const USERS = { BREAKWATER_PASSWORD_FILE: 'users' }
const NAMES = '?client-auth=optional&client-ca=ca.crt&identity=cn'

test.each([
  ['mqtts://127.0.0.1', [true]],
  ['mqtts://127.9.9.9,mqtt://localhost,mqtt://[::1]:1', [true, true, true]],
  ['mqtts://127.0.0.1,mqtts://0.0.0.0:1?anonymous=true', [true, true]],
])('the listeners %s accept anonymous clients: %j', (listen, anonymous) => {
  expect(anonymousAt({ BREAKWATER_LISTEN: listen })).toEqual(anonymous)
})

test.each([
  ['BREAKWATER_PASSWORD_FILE', 'users'],
  ['BREAKWATER_JWT_KEYS', 'keys.json'],
  ['BREAKWATER_AUTH_HTTP_URL', 'https://auth.example'],
])('with %s set, anonymous clients are refused unless a setting allows them', (name, value) => {
  const listen = 'mqtts://127.0.0.1,mqtt://127.0.0.1:1?anonymous=true'
  const environment = { BREAKWATER_LISTEN: listen, [name]: value }
  expect(anonymousAt(environment)).toEqual([false, true])
  expect(anonymousAt({ ...environment, BREAKWATER_ALLOW_ANONYMOUS: 'true' })).toEqual([true, true])
})

test('the parameter of a listener overrides the common setting', () => {
  const environment = { BREAKWATER_PASSWORD_FILE: 'users', BREAKWATER_ALLOW_ANONYMOUS: 'true' }
  const listen = 'mqtts://0.0.0.0,mqtts://0.0.0.0:1?anonymous=false'
  expect(anonymousAt({ ...environment, BREAKWATER_LISTEN: listen })).toEqual([true, false])
})

test('when one listener asks for certificates, other listeners do not accept anonymous clients by default', () => {
  const listen = `mqtts://127.0.0.1${NAMES},mqtts://127.0.0.1:1?client-auth=none`
  expect(() => anonymousAt({ BREAKWATER_LISTEN: listen })).toThrow(
    /nobody could connect at mqtts-2 \(127.0.0.1:1\):/,
  )
  expect(anonymousAt({ BREAKWATER_LISTEN: `mqtts://127.0.0.1${NAMES}` })).toEqual([false])
})

test.each([
  ['mqtts://h?client-auth=optional&client-ca=ca.crt&client-id=${cert.cn}', USERS],
  ['mqtts://h?client-id=${jwt.device}', { BREAKWATER_JWT_KEYS: 'keys.json' }],
  ['mqtts://h?client-id=${jwt.device}', { BREAKWATER_AUTH_HTTP_URL: 'https://auth.example' }],
  [`mqtts://h${NAMES}&client-id=\${jwt.device}`, { BREAKWATER_JWT_KEYS: 'keys.json' }],
  [`mqtts://h${NAMES}&client-id=\${username}`, {}],
  [`mqtts://h${NAMES}:(?<site>.)(?<name>.)&client-id=\${identity.site}`, {}],
])(
  'a listener %s with %o starts: its clients can match its client id rule',
  (listen, environment) => {
    const texts = environment as unknown as Record<string, string>
    expect(anonymousAt({ BREAKWATER_LISTEN: listen, ...texts })).toEqual([false])
  },
)

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
    /^BREAKWATER_CLIENT_ID: .*clients without credentials have no \$\{username\} for client-id=\$\{username\}/,
  ],
  [
    'mqtt://0.0.0.0?client-id=${cert.cn}',
    USERS,
    /^BREAKWATER_LISTEN: nobody could connect at mqtt .*its clients have no \$\{cert.cn\}/,
  ],
  ['mqtts://h,mqtts://h:1', { ...USERS, BREAKWATER_CLIENT_ID: '${jwt.device}' }, /no \$\{jwt.devi/],
  [
    `mqtts://h${NAMES.replace('optional', 'required')}&client-id=\${jwt.device}`,
    { BREAKWATER_JWT_KEYS: 'keys.json' },
    /its clients have no \$\{jwt.device\}/,
  ],
  [`mqtts://h${NAMES}&client-id=\${identity.site}`, {}, /its clients have no \$\{identity.site\}/],
  [
    `mqtts://h${NAMES}:(?<name>.%2B)&client-id=\${identity.name}`,
    {},
    /its clients have no \$\{identity.name\}/,
  ],
])('a listener %s with %o is refused', (listen, environment, message) => {
  const texts = environment as unknown as Record<string, string>
  expect(() => anonymousAt({ BREAKWATER_LISTEN: listen, ...texts })).toThrow(message)
})
