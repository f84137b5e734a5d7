import { afterAll, expect, test } from 'vitest'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isServiceLink } from './env.ts'
import {
  decideConfig,
  limitDeclarations,
  limitNames,
  limitVariable,
  readSettings,
  SETTINGS,
} from './index.ts'

const decide = (environment: Record<string, string>, file?: string) =>
  decideConfig(readSettings(environment, file))

const directory = mkdtempSync(join(tmpdir(), 'breakwater-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

const yaml = (text: string): string => {
  const path = join(directory, 'node.yaml')
  writeFileSync(path, text)
  return path
}

test('without settings a node is single, in memory, and open to anonymous clients of this machine only', () => {
  const config = decide({})
  expect(config.listeners).toEqual([
    {
      name: 'mqtts',
      protocol: 'mqtts',
      host: '127.0.0.1',
      port: 8883,
      webSocket: undefined,
      proxies: undefined,
      anonymous: true,
      clientId: undefined,
      tls: expect.objectContaining({ pairs: [], clientAuth: 'none', minVersion: 'TLSv1.2' }),
    },
  ])
  expect(config.redis).toBeUndefined()
  expect(config.admin).toEqual({ host: '127.0.0.1', port: 9464 })
  expect(config.queuePolicy).toBe('drop-oldest')
  expect(config.limits.packetBytesMax).toBe(limitDeclarations.packetBytesMax.default)
  expect(Object.isFrozen(config)).toBe(true)
})

test('in a cluster a password file or explicit anonymous access is required', () => {
  expect(() => decide({ BREAKWATER_REDIS_URL: 'redis://127.0.0.1' })).toThrow(
    /^BREAKWATER_PASSWORD_FILE: nobody could connect at mqtts \(127.0.0.1:8883\): give a file/,
  )
  const open = decide({
    BREAKWATER_REDIS_URL: 'redis://127.0.0.1',
    BREAKWATER_ALLOW_ANONYMOUS: 'true',
  })
  expect(open.redis?.prefix).toBe('breakwater:')
})

const REDIS = { BREAKWATER_REDIS_URL: 'redis://x', BREAKWATER_ALLOW_ANONYMOUS: 'true' }

test.each([
  [
    { BREAKWATER_QUEUE_POLICY: 'drop' },
    /^BREAKWATER_QUEUE_POLICY: must be one of drop-oldest, drop-newest, close-publisher, not "drop"$/,
  ],
  [{ BREAKWATER_LISTN: 'x' }, /^BREAKWATER_LISTN: unknown variable/],
  [{ BREAKWATER_TLS_CRT: 'x' }, /did you mean "BREAKWATER_TLS_CERT"\?/],
  [{ BREAKWATER_LISTEN: 'http://x' }, /^BREAKWATER_LISTEN: .*mqtts:\/\//],
  [{ BREAKWATER_LISTEN: 'mqtts' }, /^BREAKWATER_LISTEN: "mqtts" is not a URL/],
  [{ BREAKWATER_ADMIN: 'https://x' }, /^BREAKWATER_ADMIN: /],
  [{ BREAKWATER_TLS_CERT: 'a.pem' }, /^BREAKWATER_TLS_CERT: needs BREAKWATER_TLS_KEY/],
  [{ BREAKWATER_TLS_KEY: 'a.pem' }, /^BREAKWATER_TLS_KEY: needs BREAKWATER_TLS_CERT/],
  [{ BREAKWATER_ALLOW_ANONYMOUS: 'yes' }, /^BREAKWATER_ALLOW_ANONYMOUS: must be true or false/],
  [{ BREAKWATER_SESSION_EXPIRY: '7 days' }, /^BREAKWATER_SESSION_EXPIRY: must be a duration/],
  [{ BREAKWATER_SESSION_EXPIRY: '1s' }, /^BREAKWATER_SESSION_EXPIRY: must be from 2s to 3650d/],
  [
    { BREAKWATER_TLS_TICKET_WRAP_KEY: 'wrap.key' },
    /^BREAKWATER_TLS_TICKET_WRAP_KEY: has no effect without BREAKWATER_REDIS_URL$/,
  ],
  [
    {
      BREAKWATER_REDIS_URL: 'redis://x',
      BREAKWATER_ALLOW_ANONYMOUS: 'true',
      BREAKWATER_TLS_TICKET_KEY: 'ticket.key',
      BREAKWATER_TLS_TICKET_WRAP_KEY: 'wrap.key',
    },
    /^BREAKWATER_TLS_TICKET_WRAP_KEY: has no effect beside BREAKWATER_TLS_TICKET_KEY; give one of them$/,
  ],
  [{ BREAKWATER_SHUTDOWN_TIMEOUT: '0s' }, /^BREAKWATER_SHUTDOWN_TIMEOUT: must be from 1s to 1h/],
  [{ BREAKWATER_SHUTDOWN_TIMEOUT: '90d' }, /^BREAKWATER_SHUTDOWN_TIMEOUT: must be from 1s to 1h/],
  [{ BREAKWATER_ACK: 'fsynced' }, /^BREAKWATER_ACK: fsynced has no effect without BREAKWATER_RED/],
  [{ BREAKWATER_ACK: 'replicated:0' }, /^BREAKWATER_ACK: must be stored, fsynced or replicated:N/],
  [{ BREAKWATER_ACK: 'replicated:101' }, /^BREAKWATER_ACK: must be .*, not "replicated:101"$/],
  [{ BREAKWATER_ACK: 'replicated' }, /^BREAKWATER_ACK: must be .*, not "replicated"$/],
  [{ BREAKWATER_SHARED_STRATEGY: 'sticky' }, /^BREAKWATER_SHARED_STRATEGY: must be one of local,/],
  [{ BREAKWATER_LOG_LEVEL: 'loud' }, /^BREAKWATER_LOG_LEVEL: must be one of/],
  [{ BREAKWATER_REDIS_URL: 'http://x' }, /^BREAKWATER_REDIS_URL: must start with redis/],
  [{ BREAKWATER_REDIS_PREFIX: 'x' }, /^BREAKWATER_REDIS_PREFIX: has no effect without/],
  [{ BREAKWATER_LIMIT_PACKET_BYTES_MAX: '1' }, /^BREAKWATER_LIMIT_PACKET_BYTES_MAX: must be a/],
  [{ BREAKWATER_LIMIT_CONNECTIONS_MAX: '' }, /^BREAKWATER_LIMIT_CONNECTIONS_MAX: must be a whole/],
  [{ BREAKWATER_LIMIT_CONNECTIONS_MAX: ' ' }, /^BREAKWATER_LIMIT_CONNECTIONS_MAX: must be a whole/],
  [{ BREAKWATER_LIMIT_CONNECTIONS_MAX: '0x10' }, /^BREAKWATER_LIMIT_CONNECTIONS_MAX: must be a wh/],
  [{ BREAKWATER_LIMIT_CONNECTIONS_MAX: '1e3' }, /^BREAKWATER_LIMIT_CONNECTIONS_MAX: must be a who/],
  [{ BREAKWATER_LIMIT_CONNECTIONS_MAX: '-0' }, /^BREAKWATER_LIMIT_CONNECTIONS_MAX: must be a whol/],
  [{ BREAKWATER_SYS_INTERVAL: '1ms' }, /^BREAKWATER_SYS_INTERVAL: must be from 1s to 1h, not 1ms$/],
  [{ ...REDIS, BREAKWATER_REDIS_PREFIX: '' }, /^BREAKWATER_REDIS_PREFIX: is empty; give a prefix/],
  [{ BREAKWATER_ADMIN: 'http://x:1/metrics' }, /^BREAKWATER_ADMIN: .*without a path$/],
  [{ BREAKWATER_ADMIN: 'http://a:b@x:1' }, /^BREAKWATER_ADMIN: holds a user name or a password/],
  [{ BREAKWATER_LISTEN: 'mqtt://a:b@x:1' }, /^BREAKWATER_LISTEN: holds a user name or a password/],
  [
    { BREAKWATER_LISTEN: 'mqtts://x:1?cert=a&key=b#c' },
    /^BREAKWATER_LISTEN: .*ends at its #, which is written %23/,
  ],
  [
    { BREAKWATER_LISTEN: 'mqtts://x:1?client-auth=none&client-ca=a' },
    /^BREAKWATER_LISTEN: .*client-ca has no effect without client-auth=optional/,
  ],
  [
    { BREAKWATER_LISTEN: 'mqtt://x:1', BREAKWATER_TLS_MIN_VERSION: 'TLSv1.3' },
    /^BREAKWATER_TLS_MIN_VERSION: has no effect without a listener with mqtts/,
  ],
  [{ BREAKWATER_PUBLISH_DENIED: 'close' }, /^BREAKWATER_PUBLISH_DENIED: has no effect without B/],
  [{ BREAKWATER_JWT_ISSUER: 'x' }, /^BREAKWATER_JWT_ISSUER: has no effect without BREAKWATER_JWT/],
  [
    { ...REDIS, BREAKWATER_REDIS_CA: 'ca.pem' },
    /^BREAKWATER_REDIS_CA: has no effect with redis:\/\/; use rediss:\/\/$/,
  ],
  [
    {
      ...REDIS,
      BREAKWATER_REDIS_URL: 'redis-cluster://a,b',
      BREAKWATER_REDIS_CERT: 'a',
      BREAKWATER_REDIS_KEY: 'b',
    },
    /^BREAKWATER_REDIS_CERT: has no effect with redis-cluster:\/\/; use rediss-cluster:\/\/$/,
  ],
  [
    { ...REDIS, BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE: 'a' },
    /^BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE: has no effect with redis:\/\/, which has no sen/,
  ],
  [
    { ...REDIS, BREAKWATER_REDIS_URL: 'redis://:sesame@x', BREAKWATER_REDIS_PASSWORD_FILE: 'a' },
    /^BREAKWATER_REDIS_PASSWORD_FILE: the address holds a password, too; give one of them$/,
  ],
])('the invalid settings %o stop the start with one line', (environment, message) => {
  expect(() => decide(environment as unknown as Record<string, string>)).toThrow(message)
})

test('an interval of zero, in any unit, turns $SYS off', () => {
  for (const zero of ['0s', '0ms', '0d'])
    expect(decide({ BREAKWATER_SYS_INTERVAL: zero }).sysIntervalMs).toBe(0)
})

test.each(['stored', 'fsynced', 'replicated:2'])('the acknowledgement level may be %s', (level) => {
  const redis = { BREAKWATER_REDIS_URL: 'redis://127.0.0.1', BREAKWATER_ALLOW_ANONYMOUS: 'true' }
  expect(decide({ ...redis, BREAKWATER_ACK: level }).ack).toBe(level)
})

test('an invalid Redis address is not repeated in the error, since it may contain a password', () => {
  for (const url of ['redis://keeper:sesame/@127.0.0.1', 'sesame', 'redis://:sesame@']) {
    const start = () => decide({ BREAKWATER_REDIS_URL: url })
    expect(start).toThrow(/^BREAKWATER_REDIS_URL: /)
    expect(start).not.toThrow(/sesame/)
  }
})

test.each(['', '_REDIS', '_ADMIN', '_LIMIT', '_HEADLESS_2', '_SERVICE', '_PORT'])(
  'variables that Kubernetes injects for a Service named breakwater%s in lower case are ignored',
  (rest) => {
    const name = `BREAKWATER${rest}`
    const url = 'tcp://10.0.0.1:6379'
    const links = {
      [`${name}_SERVICE_HOST`]: '10.0.0.1',
      [`${name}_SERVICE_PORT`]: '6379',
      [`${name}_SERVICE_PORT_TCP_REDIS`]: '6379',
      [`${name}_PORT`]: url,
      ...Object.fromEntries(
        ['TCP', 'UDP', 'SCTP'].flatMap((protocol) => [
          [`${name}_PORT_6379_${protocol}`, url],
          [`${name}_PORT_6379_${protocol}_PROTO`, protocol.toLowerCase()],
          [`${name}_PORT_6379_${protocol}_PORT`, '6379'],
          [`${name}_PORT_6379_${protocol}_ADDR`, '10.0.0.1'],
        ]),
      ),
    }
    expect(decide(links)).toEqual(decide({}))
  },
)

test('a port that is set by hand is not mistaken for a variable of Kubernetes', () => {
  for (const name of ['BREAKWATER_PORT', 'BREAKWATER_ADMIN_PORT'])
    expect(() => decide({ [name]: '8883' })).toThrow(new RegExp(`^${name}: unknown variable`))
})

test('no setting and no limit has a variable name that Kubernetes could inject', () => {
  const names = [...Object.values(SETTINGS), ...limitNames.map(limitVariable)]
  expect(names.filter((name) => isServiceLink(name, 'tcp://10.0.0.1:1'))).toEqual([])
})

test.each([
  ['BREAKWATER_LISTNE', 'BREAKWATER_LISTEN'],
  ['BREAKWATER_REDIS_PASSWORD', 'BREAKWATER_REDIS_PASSWORD_FILE'],
  ['BREAKWATER_ALOW_ANONYMOUS', 'BREAKWATER_ALLOW_ANONYMOUS'],
  ['BREAKWATER_LOGLEVEL', 'BREAKWATER_LOG_LEVEL'],
  ['BREAKWATER_LIMIT_PACKET_BYTE_MAX', 'BREAKWATER_LIMIT_PACKET_BYTES_MAX'],
  ['BREAKWATER_PACKET_BYTES_MAX', 'BREAKWATER_LIMIT_PACKET_BYTES_MAX'],
])('the error for the unknown variable %s suggests %s', (variable, meant) => {
  expect(() => decide({ [variable]: 'x' })).toThrow(
    `${variable}: unknown variable; did you mean "${meant}"?`,
  )
})

test.each([
  ['tls_cert: x', 'tlsCert'],
  ['BREAKWATER_TLS_KEY: x', 'tlsKey'],
  ['passwordfile: x', 'passwordFile'],
  ['limit: {}', 'limits'],
  ['packetBytesMax: 1', 'limits.packetBytesMax'],
  ['limits: { packetByteMax: 1 }', 'packetBytesMax'],
  ['listen: ["mqtts://x:1?client_auth=required"]', 'client-auth'],
  ['listen: ["wss://x:1?orgin=https://a"]', 'origin'],
])('the error for the unknown key "%s" in a configuration file suggests %s', (text, meant) => {
  expect(() => decide({}, yaml(text))).toThrow(`; did you mean "${meant}"?`)
})

test.each(['BREAKWATER_X', 'BREAKWATER_', 'BREAKWATER_ENTIRELY_DIFFERENT'])(
  'the error for %s, which resembles no setting, refers to the documentation',
  (variable) => {
    expect(() => decide({ [variable]: 'x' })).toThrow(/unknown variable, see docs\/CONFIG\.md$/)
  },
)

test('the admin port may be 80', () => {
  expect(decide({ BREAKWATER_ADMIN: 'http://127.0.0.1:80' }).admin.port).toBe(80)
  expect(decide({ BREAKWATER_ADMIN: 'http://127.0.0.1' }).admin.port).toBe(9464)
})

test('a variable overrides the configuration file, and an error names the source of the value', () => {
  const file = yaml(
    'listen: [mqtts://0.0.0.0:1, "mqtt://[::1]:2"]\nlogLevel: debug\nallowAnonymous: true\n',
  )
  const config = decide({ BREAKWATER_LOG_LEVEL: 'warn' }, file)
  expect(config.logLevel).toBe('warn')
  expect(config.listeners.map(({ host, port }) => [host, port])).toEqual([
    ['0.0.0.0', 1],
    ['::1', 2],
  ])
  expect(() => decide({}, yaml('ack: never'))).toThrow(/^ack in .*node\.yaml: must be stored/)
  expect(() => decide({}, yaml('lissten: x'))).toThrow(/^lissten in .*: unknown key/)
  expect(() => decide({}, yaml('limits: { packetBytes: 1 }'))).toThrow(/unknown limit/)
  expect(() => decide({}, '/nowhere.yaml')).toThrow(/^--config \/nowhere\.yaml: ENOENT/)
})

const SECRET = /sesame/

test.each([
  [
    { BREAKWATER_AUTH_HTTP_URL: 'https://ann:sesame@auth.example/x' },
    /^BREAKWATER_AUTH_HTTP_URL: holds a user name or a password/,
  ],
  [{ BREAKWATER_AUTH_HTTP_URL: 'https://sesame@auth.example' }, /holds a user name or a password/],
  [{ BREAKWATER_AUTH_HTTP_URL: 'https://ann:se/same?sesame@auth.example' }, /is not a URL/],
  [
    { BREAKWATER_JWT_KEYS: 'https://ann:sesame@keys.example' },
    /^BREAKWATER_JWT_KEYS: holds a user name/,
  ],
  [
    { BREAKWATER_ADMIN: 'http://ann:sesame@127.0.0.1:9464' },
    /^BREAKWATER_ADMIN: holds a user name/,
  ],
  [{ BREAKWATER_ADMIN: 'http://ann:sesame@127.0.0.1:nine' }, /^BREAKWATER_ADMIN: it is not a URL/],
  [
    { BREAKWATER_LISTEN: 'mqtts://ann:sesame@127.0.0.1:8883' },
    /^BREAKWATER_LISTEN: holds a user name/,
  ],
  [
    { BREAKWATER_REDIS_URL: 'redis-sentinel://:pa@ss/sesame@host/main' },
    /^BREAKWATER_REDIS_URL: is not a URL/,
  ],
  [{ BREAKWATER_REDIS_URL: 'redis://:pass/sesame@host' }, /^BREAKWATER_REDIS_URL: is not a URL/],
])('a URL with a password is refused in one line without the password: %j', (environment, why) => {
  expect(() => decide(environment)).toThrow(why)
  expect(() => decide(environment)).not.toThrow(SECRET)
  expect(() => decide(environment)).not.toThrow(/\n/)
})

test('passwords are sent in plain text only within this machine, or with an explicit setting', () => {
  const url = (text: string, more: Record<string, string> = {}) =>
    decide({ BREAKWATER_AUTH_HTTP_URL: text, ...more }).authHttp?.url.href
  for (const host of ['127.0.0.1:8080', 'localhost', '[::1]', '127.9.9.9'])
    expect(url(`http://${host}/x`)).toBe(`http://${host}/x`)
  expect(url('https://auth.example/')).toBe('https://auth.example/')
  expect(() => url('http://auth.example/')).toThrow(
    /^BREAKWATER_AUTH_HTTP_URL: passwords would be sent as plain text to auth\.example: use https/,
  )
  for (const host of ['127.0.0.1.example', 'localhost.example', '10.0.0.1'])
    expect(() => url(`http://${host}/`)).toThrow(/plain text/)
  expect(url('http://auth.example/', { BREAKWATER_AUTH_HTTP_PLAIN: 'true' })).toBe(
    'http://auth.example/',
  )
  expect(() => decide({ BREAKWATER_JWT_KEYS: 'http://keys.example/' })).toThrow(
    /only for this machine/,
  )
})

test.each([
  [
    { BREAKWATER_AUTH_HTTP_PLAIN: 'true' },
    /^BREAKWATER_AUTH_HTTP_PLAIN: has no effect without BREAKWATER_AUTH_HTTP_URL$/,
  ],
  [{ BREAKWATER_AUTH_HTTP_TOKEN_FILE: 'f' }, /without BREAKWATER_AUTH_HTTP_URL$/],
  [{ BREAKWATER_JWT_CA: 'f' }, /^BREAKWATER_JWT_CA: has no effect without BREAKWATER_JWT_KEYS$/],
  [
    { BREAKWATER_JWT_KEYS: 'keys.json', BREAKWATER_JWT_CA: 'f' },
    /^BREAKWATER_JWT_CA: has no effect without an https:/,
  ],
  [
    { BREAKWATER_AUTH_HTTP_URL: 'http://[::1]/', BREAKWATER_AUTH_HTTP_CA: 'f' },
    /^BREAKWATER_AUTH_HTTP_CA: has no effect without an https:/,
  ],
])('a setting of an external service without effect is refused: %j', (environment, why) => {
  expect(() => decide(environment)).toThrow(why)
})
