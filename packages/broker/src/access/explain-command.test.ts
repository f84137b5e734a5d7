import { expect, test } from 'vitest'
import { explainAccess, type ExplainOptions } from './explain-command.ts'

const RULES = `
rules:
  - { name: secrets, deny: [publish, subscribe], topics: ['devices/+/secret/#'] }
  - { allow: [publish, subscribe], topics: ['devices/\${clientid}/#'] }
  - { claims: { role: admin }, allow: [subscribe], topics: ['#'] }
`

function ask(options: Partial<ExplainOptions>): readonly string[] {
  const asked = { topic: 'devices/a/x', action: 'publish', clientId: 'a', ...options }
  return explainAccess(RULES, 'acl.yaml', asked)
}

test('acl explain prints the answer first, then the reason', () => {
  expect(ask({})).toEqual([
    'allowed: publish to devices/a/x',
    '  rule 1 "secrets" is about other topics',
    '  rule 2 decides',
  ])
  expect(ask({ topic: 'devices/a/#', action: 'subscribe' })).toEqual([
    'denied: subscribe to devices/a/#',
    '  rule 1 "secrets" decides',
  ])
  expect(ask({ topic: '$share/g/x', action: 'subscribe', claims: '{"role":"admin"}' })).toEqual([
    'allowed: subscribe to $share/g/x',
    '  rule 1 "secrets" is about other topics',
    '  rule 2 is about other topics',
    '  rule 3 decides',
  ])
  expect(ask({ topic: 'x' }).at(-1)).toBe('  the default decides: deny')
})

test('acl explain: a $SYS topic needs a rule to be read, and only the broker publishes to $SYS topics', () => {
  const [answer, , , , why] = ask({
    topic: '$SYS/#',
    action: 'subscribe',
    claims: '{"role":"admin"}',
  })
  expect(answer).toBe('denied: subscribe to $SYS/#')
  expect(why).toBe('  no rule allows it, and the default does not count under $SYS')
  expect(ask({ topic: '$SYS/x' })).toEqual([
    'denied: publish to $SYS/x',
    '  only the broker publishes under $SYS',
  ])
})

test('acl explain treats an empty user name as no user name', () => {
  const rules = "rules: [{ users: ['*'], allow: [publish], topics: ['#'] }]"
  const asked = { topic: 'a', action: 'publish', clientId: 'a' }
  expect(explainAccess(rules, 'acl.yaml', { ...asked, as: 'ann' })[0]).toMatch(/^allowed/)
  expect(explainAccess(rules, 'acl.yaml', { ...asked, as: '' })[0]).toMatch(/^denied/)
})

test('acl explain explains a shared subscription by the rules that name groups', () => {
  const rules = `
rules:
  - { users: [worker], allow: [subscribe], topics: ['$share/workers/jobs/#'] }
  - { name: one group, allow: [subscribe], topics: ['$share/others/jobs/#'] }
  - { name: nobody else, deny: [subscribe], topics: ['$share/workers/#'] }
  - { allow: [subscribe], topics: ['jobs/#'] }
`
  const asked = { action: 'subscribe', clientId: 'a' }
  expect(explainAccess(rules, 'acl.yaml', { ...asked, topic: '$share/workers/jobs/a' })).toEqual([
    'denied: subscribe to $share/workers/jobs/a',
    '  rule 1 is about others',
    '  rule 2 "one group" is about subscriptions in a group that this one is not in',
    '  rule 3 "nobody else" decides',
  ])
  expect(explainAccess(rules, 'acl.yaml', { ...asked, topic: 'jobs/a' })[0]).toBe(
    'allowed: subscribe to jobs/a',
  )
  expect(() => explainAccess(rules, 'acl.yaml', { ...asked, topic: '$share//a' })).toThrow(
    /is nothing to subscribe to/,
  )
})

test('acl explain offers a named group of the identity rule as a variable', () => {
  const rules = "rules: [{ allow: [publish], topics: ['${identity.tenant}/#'] }]"
  const answer = (identity?: string): string | undefined => {
    const asked = { topic: 'north/x', action: 'publish', clientId: 'a' }
    return explainAccess(
      rules,
      'acl.yaml',
      identity === undefined ? asked : { ...asked, identity },
    )[0]
  }
  expect(answer()).toBe('denied: publish to north/x')
  expect(answer('{"tenant":"south"}')).toBe('denied: publish to north/x')
  expect(answer('{"tenant":"north"}')).toBe('allowed: publish to north/x')
})

test.each([
  [{ action: 'read' }, /--action is publish or subscribe/],
  [{ topic: 'a/#' }, /"a\/#" is nothing to publish to/],
  [{ topic: 'a#', action: 'subscribe' }, /"a#" is nothing to subscribe to/],
  [{ identity: 'tenant' }, /--identity is a JSON object/],
  [{ claims: 'role' }, /--claims is a JSON object/],
])('acl explain refuses %j in one line', (options, message) => {
  expect(() => ask(options)).toThrow(message)
})
