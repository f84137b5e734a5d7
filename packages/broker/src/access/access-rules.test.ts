import { describe, expect, it, test } from 'vitest'
import { AccessRules, explain } from './access-rules.ts'
import type { Identity } from './identity.ts'
import { subscribeTo } from './rule-topics.ts'
import { parseRules } from './rules-file.ts'

const ann: Identity = { clientId: 'meter-7', username: 'ann' }

function rules(text: string): AccessRules {
  return AccessRules.parse(text, 'acl.yaml')
}

function may(text: string, identity: Identity = ann) {
  const access = rules(text).of(identity)
  return {
    publish: (topic: string) => access.publish(topic).allowed,
    subscribe: (filter: string) => access.subscribe(filter).allowed,
  }
}

describe('access rules', () => {
  it('are tried in order: the first matching rule decides, otherwise the default', () => {
    const access = rules(`
rules:
  - { name: no secrets, deny: [publish], topics: ['a/secret'] }
  - { allow: [publish], topics: ['a/#'] }
`).of(ann)
    expect(access.publish('a/secret')).toEqual({ allowed: false, rule: 1, name: 'no secrets' })
    expect(access.publish('a/b')).toEqual({ allowed: true, rule: 2, name: undefined })
    expect(access.publish('b')).toEqual({ allowed: false, rule: undefined, name: undefined })
    expect(access.subscribe('a/b').allowed).toBe(false)
    expect(may('default: allow\nrules: []').publish('x')).toBe(true)
  })

  it('do not let a wildcard filter circumvent a deny', () => {
    const { subscribe } = may(`
rules:
  - { deny: [subscribe], topics: ['+/secret/#'] }
  - { allow: [subscribe], topics: ['#'] }
`)
    for (const filter of ['#', 'a/#', 'a/+', '+/+', 'a/secret', 'a/secret/b', '+/secret/+'])
      expect(subscribe(filter), filter).toBe(false)
    for (const filter of ['a/b', 'a/b/#', 'a/y/secret', 'b'])
      expect(subscribe(filter), filter).toBe(true)
  })

  it('that allow must cover the whole filter; an allow before a deny stands', () => {
    const { subscribe } = may(`
rules:
  - { allow: [subscribe], topics: ['a/b'] }
  - { deny: [subscribe], topics: ['a/+'] }
  - { allow: [subscribe], topics: ['x/+/y', 'z/#'] }
`)
    expect(subscribe('a/b')).toBe(true)
    expect(subscribe('a/+')).toBe(false)
    expect(subscribe('x/+/y')).toBe(true)
    expect(subscribe('x/1/y')).toBe(true)
    expect(subscribe('x/#')).toBe(false)
    expect(subscribe('z')).toBe(true)
    expect(subscribe('#')).toBe(false)
  })

  it('for all clients do not match $ topics by a wildcard', () => {
    const text = `rules: [{ allow: [publish, subscribe], topics: ['#'] }]`
    expect(may(text).subscribe('$SYS/#')).toBe(false)
    expect(may(text).publish('$other/x')).toBe(false)
  })

  it('are required for $SYS topics, whatever the default', () => {
    const open = may('default: allow\nrules: []')
    expect(open.subscribe('devices/#')).toBe(true)
    for (const filter of ['$SYS', '$SYS/#', '$SYS/broker/uptime'])
      expect(open.subscribe(filter), filter).toBe(false)
    const ruled = may(`rules: [{ allow: [subscribe], topics: ['$SYS/broker/#'] }]`)
    expect(ruled.subscribe('$SYS/broker/uptime')).toBe(true)
    expect(ruled.subscribe('$SYS/broker/#')).toBe(true)
    expect(ruled.subscribe('$SYS/#')).toBe(false)
  })

  it.each([
    ['users: [ann]', ann, true],
    ['users: [an*, bob]', ann, true],
    ['users: [bob]', ann, false],
    ['users: ["*"]', { clientId: 'x', username: undefined }, false],
    ['anonymous: true', { clientId: 'x', username: undefined }, true],
    ['anonymous: true', ann, false],
    ['anonymous: false', ann, true],
    ['clients: [meter-*]', ann, true],
    ['clients: [meter]', ann, false],
    [
      'certificates: [pump]',
      { ...ann, certificate: { cn: 'pump', uri: [], dns: [], email: [] } },
      true,
    ],
    ['certificates: [pump]', ann, false],
    ['claims: { role: admin }', { ...ann, claims: { role: ['user', 'admin'] } }, true],
    ['claims: { level: 3 }', { ...ann, claims: { level: 3 } }, true],
    ['claims: { role: admin }', { ...ann, claims: { role: { admin: true } } }, false],
    ['claims: { held: true }', { ...ann, claims: { held: true } }, true],
    ['claims: { held: true }', { ...ann, claims: { held: false } }, false],
    ['claims: { tenant: "9007199254740992" }', { ...ann, claims: { tenant: 2 ** 53 } }, false],
    ['users: [ann], clients: [other]', ann, false],
  ] as const)('with %s match only the clients that they name', (who, identity, allowed) => {
    const text = `rules: [{ ${who}, allow: [publish], topics: ['t'] }]`
    expect(may(text, identity).publish('t')).toBe(allowed)
  })
})

describe('access rules that name shared-subscription groups', () => {
  it('apply to subscriptions in that group; a rule without a group applies to all subscriptions', () => {
    const { subscribe } = may(`
rules:
  - { users: [worker-*], allow: [subscribe], topics: ['$share/workers/jobs/#'] }
  - { deny: [subscribe], topics: ['$share/workers/#'] }
  - { allow: [subscribe], topics: ['jobs/#'] }
`)
    expect(subscribe('jobs/a')).toBe(true)
    expect(subscribe('$share/others/jobs/a')).toBe(true)
    for (const filter of ['jobs/a', 'jobs/#', '+/a', '#', 'x'])
      expect(subscribe(`$share/workers/${filter}`), filter).toBe(false)
    const worker = may(
      "rules: [{ users: [worker-*], allow: [subscribe], topics: ['$share/workers/jobs/#'] }]",
      { clientId: 'x', username: 'worker-1' },
    )
    expect(worker.subscribe('$share/workers/jobs/#')).toBe(true)
    for (const filter of [
      'jobs/a',
      '$share/Workers/jobs/a',
      '$share/workers2/jobs/a',
      '$share/workers/x',
    ])
      expect(worker.subscribe(filter), filter).toBe(false)
  })

  it('may name any group, the beginning of a group name, or a variable', () => {
    const { subscribe } = may(`
rules:
  - { deny: [subscribe], topics: ['$share/+/secret/#'] }
  - { allow: [subscribe], topics: ['$share/\${username}/own/#', '$share/team-*/shared/#', 'secret/#'] }
`)
    expect(subscribe('secret/a')).toBe(true)
    expect(subscribe('$share/x/secret/a')).toBe(false)
    expect(subscribe('$share/x/#')).toBe(false)
    expect(subscribe('$share/ann/own/a')).toBe(true)
    expect(subscribe('$share/ann2/own/a')).toBe(false)
    expect(subscribe('$share/team-7/shared/a')).toBe(true)
    expect(subscribe('$share/team/shared/a')).toBe(false)
  })

  it.each(['*', 'team-*', '+', 'a/b'])(
    'read the value %j of a variable as a plain name, which widens no access',
    (username) => {
      const { subscribe } = may(
        "rules: [{ allow: [subscribe], topics: ['$share/${username}/own/#'] }]",
        { clientId: 'x', username },
      )
      for (const group of ['ann', 'team-7', 'a', 'b', '']) {
        expect(subscribe(`$share/${group}/own/a`)).toBe(false)
        expect(subscribe(`$share/${group}/b/own/a`)).toBe(false)
      }
    },
  )

  it('do not match $SYS topics by a wildcard', () => {
    const rules = "default: allow\nrules: [{ allow: [subscribe], topics: ['$share/g/#'] }]"
    expect(may(rules).subscribe('$share/g/$SYS/broker/uptime')).toBe(false)
    const named = "rules: [{ allow: [subscribe], topics: ['$share/g/$SYS/#'] }]"
    expect(may(named).subscribe('$share/g/$SYS/broker/uptime')).toBe(true)
    expect(may(named).subscribe('$SYS/broker/uptime')).toBe(false)
  })
})

it.each(['$SYS', '$share', '$x'])(
  'a client with the client id %s gets no access by rules whose first topic level is the client id variable',
  (clientId) => {
    const text =
      "rules: [{ allow: [publish, subscribe], topics: ['${clientid}/#', 'x/${clientid}'] }]"
    const { publish, subscribe } = may(text, { clientId, username: 'ann' })
    expect(subscribe(`${clientId}/#`)).toBe(false)
    expect(publish(`${clientId}/a`)).toBe(false)
    expect(subscribe(`x/${clientId}`)).toBe(true)
  },
)

test('an explanation names each access rule up to the deciding one', () => {
  const text = `
rules:
  - { name: others, users: [bob], allow: [subscribe], topics: ['#'] }
  - { allow: [publish], topics: ['#'] }
  - { allow: [subscribe], topics: ['x/\${cert.cn}'] }
  - { allow: [subscribe], topics: ['a/b'] }
  - { allow: [subscribe], topics: ['c/#'] }
  - { name: a part of it, deny: [subscribe], topics: ['a/b/c'] }
  - { allow: [subscribe], topics: ['a/#'] }
`
  const steps = explain(parseRules(text, 'acl.yaml'), ann, subscribeTo('a/#'))
  expect(steps.map(({ rule, passedOver }) => [rule, passedOver])).toEqual([
    [1, 'is about others'],
    [2, 'says nothing of subscribe'],
    [3, 'has a variable that this client has no value for'],
    [4, 'allows only a part of the filter'],
    [5, 'is about other topics'],
    [6, undefined],
  ])
  expect(rules(text).of(ann).subscribe('a/#')).toMatchObject({ allowed: false, rule: 6 })
})

describe('variables in access rules', () => {
  const text = `rules: [{ allow: [publish, subscribe], topics: ['d/\${clientid}/\${username}/#'] }]`

  it('stand for the client id and the user name of the client', () => {
    expect(may(text).subscribe('d/meter-7/ann/#')).toBe(true)
    expect(may(text).subscribe('d/meter-8/ann/#')).toBe(false)
    expect(may(text).subscribe('d/+/ann/#')).toBe(false)
    expect(may(text, { ...ann, username: undefined }).publish('d/meter-7//x')).toBe(false)
  })

  it.each(['#', '+', 'a/b', '', 'x\0y', '../#'])('never match an unsafe value: %j', (clientId) => {
    const { publish, subscribe } = may(text, { ...ann, clientId })
    expect(publish(`d/${clientId}/ann/x`)).toBe(false)
    expect(subscribe('d/+/ann/#')).toBe(false)
  })

  it('are plain text inside a value', () => {
    const odd = may(text, { clientId: '${username}', username: 'ann' })
    expect(odd.publish('d/ann/ann/x')).toBe(false)
    expect(odd.publish('d/${username}/ann/x')).toBe(true)
  })

  it('never match an integer that JSON parsing rounded', () => {
    const text = "rules: [{ allow: [publish], topics: ['t/${jwt.tenant}'] }]"
    for (const [tenant, allowed] of [
      ['9007199254740993', false],
      ['9007199254740991', true],
      ['1.5', true],
      ['true', true],
    ] as const) {
      const claims = JSON.parse(`{"tenant":${tenant}}`) as Record<string, unknown>
      expect(may(text, { ...ann, claims }).publish(`t/${String(claims['tenant'])}`)).toBe(allowed)
    }
  })

  it('with more than 64 values deny every possible value, and allow only the first 64', () => {
    const claims = { held: Array.from({ length: 65 }, (_, index) => `v${index}`) }
    const denying = may(
      `rules:
  - { deny: [publish, subscribe], topics: ['a/x-\${jwt.held}/b'] }
  - { deny: [subscribe], topics: ['$share/\${jwt.held}/s/#'] }
  - { allow: [publish, subscribe], topics: ['#'] }`,
      { ...ann, claims },
    )
    expect(denying.publish('a/x-v64/b')).toBe(false)
    expect(denying.subscribe('a/x-v64/b')).toBe(false)
    expect(denying.subscribe('$share/v64/s/1')).toBe(false)
    expect(denying.publish('b')).toBe(true)
    expect(denying.subscribe('s/1')).toBe(true)
    const allowing = may("rules: [{ allow: [publish], topics: ['a/${jwt.held}'] }]", {
      ...ann,
      claims,
    })
    expect(allowing.publish('a/v63')).toBe(true)
    expect(allowing.publish('a/v64')).toBe(false)
  })

  it('of a certificate or a token may have several values', () => {
    const { publish } = may(
      `rules: [{ allow: [publish], topics: ['\${cert.san.uri}/x', 't/\${jwt.site}'] }]`,
      {
        ...ann,
        certificate: { cn: undefined, uri: ['spiffe://a/b', 'spiffe://c'], dns: [], email: [] },
        claims: { site: ['north', 'south', '#'] },
      },
    )
    for (const topic of ['spiffe://a/b/x', 'spiffe://c/x', 't/north', 't/south'])
      expect(publish(topic), topic).toBe(true)
    expect(publish('t/east')).toBe(false)
  })
})

test.each([
  ['rules: [', /^acl\.yaml:1:\d+: /],
  ['', /^acl\.yaml:1:1: the file must be a mapping with rules$/],
  ['rules: 3', /^acl\.yaml:1:8: rules must be a list of rules$/],
  ['rule: []', /^acl\.yaml:1:\d+: rule/],
  ['default: maybe\nrules: []', /^acl\.yaml:1:10: default must be allow or deny$/],
  ['rules:\n  - allow: [publish]', /^acl\.yaml:2:\d+: rules\.0/],
  ['rules:\n  - topics: [t]', /^acl\.yaml:2:5: rules\.0 must have either allow or deny$/],
  [
    'rules:\n  - { allow: [read], topics: [t] }',
    /rules\.0\.allow\.0 must be publish or subscribe$/,
  ],
  [
    'rules:\n  - { allow: [publish], topics: ["a#"] }',
    /^acl\.yaml:2:34: rules\.0\.topics\.0 is not a topic/,
  ],
  ['rules:\n  - { allow: [publish], topics: ["${user}"] }', /names a variable that there is not/],
  ['rules:\n  - { deny: [publish], topics: ["a/${username/#"] }', /names a variable that there is/],
  [
    'rules:\n  - { users: ["*-x"], deny: [publish], topics: [t] }',
    /users\.0 must have a \* at its/,
  ],
  [
    'rules:\n  - { clients: ["${username}"], deny: [publish], topics: [t] }',
    /clients\.0 must be a n/,
  ],
  [
    'rules:\n  - { claims: {}, deny: [publish], topics: [t] }',
    /rules\.0\.claims must not be empty/,
  ],
  [
    'rules:\n  - { claims: { id: 9007199254740993 }, deny: [publish], topics: [t] }',
    /claims\.id must be text, a number, true or false; a number of more than 15 digits/,
  ],
  [
    'rules:\n  - { allow: [publish, subscribe], topics: ["$share/g/t"] }',
    /rules\.0 must be about subscribe alone where a topic names a group/,
  ],
  ['rules:\n  - { allow: [subscribe], topics: ["$share/g"] }', /is not \$share\/GROUP\/FILTER/],
  ['rules:\n  - { allow: [subscribe], topics: ["$share//t"] }', /is not \$share\/GROUP\/FILTER/],
  ['rules:\n  - { allow: [publish], topics: [t], user: x }', /rules\.0\.user is not known/],
])('the invalid rules %j are refused with the position of the fault', (text, message) => {
  expect(() => rules(text)).toThrow(message)
})
