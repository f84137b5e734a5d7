import { expect, test } from 'vitest'
import { fitsClientIdRule, parseClientIdRule } from './client-id-rule.ts'
import { decideConfig, readSettings } from './index.ts'

const fail = (why: string): Error => new Error(why)

/** Whether a client of which these values were proved may have the id. */
function may(
  pattern: string,
  clientId: string,
  values: Readonly<Record<string, readonly string[]>>,
): boolean {
  const rule = parseClientIdRule(pattern, fail)
  return (
    rule === undefined || fitsClientIdRule(rule, clientId, (variable) => values[variable] ?? [])
  )
}

const ann = { username: ['ann'] }

test.each([
  ['any', 'whatever', {}, true],
  ['${username}', 'ann', ann, true],
  ['${username}', 'ann2', ann, false],
  ['${username}', '', ann, false],
  ['${username}', '', { username: [''] }, false],
  ['${username}', 'ann', {}, false],
  ['dev-${username}', 'dev-ann', ann, true],
  ['dev-${username}', 'ann', ann, false],
  ['${username}-dev', 'ann-dev', ann, true],
  ['${username}-dev', 'ann-dev-dev', ann, false],
  ['${username}-dev', 'a-dev-b-dev', { username: ['a-dev-b'] }, true],
  ['${username}:*', 'ann:', ann, true],
  ['${username}:*', 'ann:550e8400-e29b', ann, true],
  ['${username}:*', 'ann', ann, false],
  ['${username}:*', 'ann2:x', ann, false],
  ['guest-*', 'guest-7', {}, true],
  ['guest-*', 'ann', {}, false],
  ['${jwt.devices}', 'd2', { 'jwt.devices': ['d1', 'd2'] }, true],
  ['${jwt.devices}', 'd3', { 'jwt.devices': ['d1', 'd2'] }, false],
  [
    '${identity.tenant}/${username}/*',
    'north/ann/x',
    { ...ann, 'identity.tenant': ['north'] },
    true,
  ],
  [
    '${identity.tenant}/${username}/*',
    'south/ann/x',
    { ...ann, 'identity.tenant': ['north'] },
    false,
  ],
])(
  'the client id rule %s accepts the client id %j of a client with %j: %j',
  (pattern, id, values, fits) => {
    expect(may(pattern, id, values)).toBe(fits)
  },
)

test.each(['*', '#', '+', '${username}', '.*', 'a*', '\\', '-'])(
  'the user name %j is plain text in a client id rule and widens no access',
  (username) => {
    for (const pattern of ['${username}', 'x${username}y', '${username}:*'])
      for (const id of ['ann', 'xanny', 'ann:1', ':1', 'xy', 'x*y2'])
        expect(may(pattern, id, { username: [username] }), `${pattern} ${id}`).toBe(false)
    expect(may('${username}', username, { username: [username] })).toBe(true)
    expect(may('${username}:*', `${username}:1`, { username: [username] })).toBe(true)
  },
)

test('a client id belongs to one user only, also when one user name begins with another', () => {
  const users = ['ops', 'ops-root', 'ops-root-2', '-', '--', 'ops-', '-ops']
  for (const pattern of ['${username}-*', 'x-${username}-*', '${username}--*'])
    for (const first of users)
      for (const rest of ['', '1', 'root', 'root-1', '-', '-root-2-1', '--']) {
        const id = pattern.replace('${username}', first).replace('*', rest)
        const owners = users.filter((username) => may(pattern, id, { username: [username] }))
        expect(owners.length, `${pattern} ${id}: ${owners.join()}`).toBeLessThanOrEqual(1)
      }
  expect(may('${username}-*', 'ops-root-1', { username: ['ops'] })).toBe(false)
  expect(may('${username}-*', 'ops-root-1', { username: ['ops-root'] })).toBe(true)
})

test.each([
  ['enforce', /^"enforce" is one client id for everybody; use any, or a pattern such as/],
  ['', /is one client id for everybody/],
  ['${username}*', /^"\$\{username\}\*": a text must follow a variable/],
  ['${jwt.a}${username}', /a text must follow a variable/],
  ['${username*', /a variable ends with a \}/],
  ['*-${username}', /a \* stands at the end only/],
  ['${clientid}', /\$\{clientid\} is not a variable of a client id/],
  ['${user}', /\$\{user\} is not a variable of a client id; use \$\{username\}/],
])('the client id rule %j is refused in one line', (pattern, message) => {
  expect(() => parseClientIdRule(pattern, fail)).toThrow(message)
})

test('a listener has the common client id rule, or its own', () => {
  const { listeners } = decideConfig(
    readSettings({
      BREAKWATER_PASSWORD_FILE: 'users',
      BREAKWATER_CLIENT_ID: '${username}',
      BREAKWATER_LISTEN:
        'mqtts://h,mqtt://h?client-id=any,ws://h?client-id=dev-${username}:*&anonymous=false',
    }),
  )
  expect(listeners.map(({ clientId }) => clientId?.text)).toEqual([
    '${username}',
    undefined,
    'dev-${username}:*',
  ])
  expect(() =>
    decideConfig(readSettings({ BREAKWATER_CLIENT_ID: 'x', BREAKWATER_ALLOW_ANONYMOUS: 'true' })),
  ).toThrow(/^BREAKWATER_CLIENT_ID: "x" is one client id/)
})
