import { expect, test } from 'vitest'
import { parseRedisAddress, redactUrl } from './redis-address.ts'

const ONE = {
  tls: false,
  hosts: [{ host: 'host', port: 6_379 }],
  master: undefined,
  cluster: false,
  username: undefined,
  password: undefined,
  database: 0,
}

test.each([
  ['redis://host', ONE],
  ['redis://host/', ONE],
  [
    'rediss://[::1]:6380/7',
    { ...ONE, tls: true, hosts: [{ host: '::1', port: 6_380 }], database: 7 },
  ],
  ['redis://ann:s%2Fec@host', { ...ONE, username: 'ann', password: 's/ec' }],
  ['redis://:secret@host', { ...ONE, password: 'secret' }],
  ['redis://ann@host', { ...ONE, username: 'ann' }],
  [
    'redis-sentinel://a,b:1/main',
    {
      ...ONE,
      hosts: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 1 },
      ],
      master: 'main',
    },
  ],
  [
    'rediss-sentinel://u:p@[::1]:2,b/my%20main/4',
    {
      tls: true,
      hosts: [
        { host: '::1', port: 2 },
        { host: 'b', port: 26_379 },
      ],
      master: 'my main',
      cluster: false,
      username: 'u',
      password: 'p',
      database: 4,
    },
  ],
  [
    'rediss-cluster://u:p@a,[::1]:2',
    {
      ...ONE,
      tls: true,
      hosts: [
        { host: 'a', port: 6_379 },
        { host: '::1', port: 2 },
      ],
      cluster: true,
      username: 'u',
      password: 'p',
    },
  ],
  ['redis-cluster://host/0', { ...ONE, cluster: true }],
])('%s is a valid Redis address', (url, address) => {
  expect(parseRedisAddress(url)).toEqual(address)
})

test.each([
  ['sesame', /^is not a URL/],
  ['http://sesame', /^must start with redis:/],
  ['redis-cluster://sesame/1', /^names a database, but a Redis Cluster/],
  ['redis://:sesame@', /^is not a URL/],
  ['redis://a:sesame/@host', /^is not a URL/],
  ['redis://sesame,b', /several hosts.*redis-sentinel/],
  ['redis://sesame:0', /^needs a host/],
  ['redis://sesame:65536', /^needs a host/],
  ['redis://sesame/x', /^names a database/],
  ['redis://sesame/1/2', /^has more behind the database/],
  ['redis-sentinel://sesame/main/1/2', /^has more behind the database/],
  ['redis://host?db=3', /^has parameters .*\(db\), which are not read: the database is the path/],
  ['redis://host/?password=sesame', /\(password\)/],
  ['redis://host/1?sesame_', /^has parameters/],
  ['redis-cluster://host?db=3', /\(db\)/],
  ['redis-sentinel://host/main?db=3', /\(db\)/],
  ['redis://host/1#sesame', /^is not a URL/],
  ['redis://a:%sesame@host', /encodes nothing/],
  ['redis-sentinel://sesame', /^needs the name of the master/],
])('%s is refused as a Redis address, and the error does not repeat it', (url, message) => {
  expect(() => parseRedisAddress(url)).toThrow(message)
  expect(() => parseRedisAddress(url)).not.toThrow(/sesame/)
})

test.each([
  ['redis-sentinel://:pa@ss/secret@host/main', 'redis-sentinel://host/main'],
  ['redis://ann:secret@host:6379/2', 'redis://host:6379/2'],
  ['redis://:secret@host', 'redis://host'],
  ['rediss://host:6379?password=secret#secret', 'rediss://host:6379'],
  ['redis://[::1]:6379', 'redis://[::1]:6379'],
  ['redis-sentinel://ann:secret@a,b:2/main?x=secret', 'redis-sentinel://a,b:2/main'],
])('the Redis address %s is logged without secrets', (url, redacted) => {
  expect(redactUrl(url)).toBe(redacted)
})
