import { afterAll, expect, test } from 'vitest'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decideConfig, limitDeclarations, readSettings } from './index.ts'

const decide = (environment: Record<string, string>, file?: string) =>
  decideConfig(readSettings(environment, file))

const directory = mkdtempSync(join(tmpdir(), 'breakwater-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

const yaml = (text: string): string => {
  const path = join(directory, 'node.yaml')
  writeFileSync(path, text)
  return path
}

test('nothing set is one embedded node with anonymous access on mqtts 8883', () => {
  const config = decide({})
  expect(config.listeners).toEqual([
    {
      name: 'mqtts',
      protocol: 'mqtts',
      host: '0.0.0.0',
      port: 8883,
      webSocket: undefined,
      proxies: undefined,
      tls: expect.objectContaining({ pairs: [], clientAuth: 'none', minVersion: 'TLSv1.2' }),
    },
  ])
  expect(config.redis).toBeUndefined()
  expect(config.allowAnonymous).toBe(true)
  expect(config.queuePolicy).toBe('drop-oldest')
  expect(config.limits.packetBytesMax).toBe(limitDeclarations.packetBytesMax.default)
  expect(Object.isFrozen(config)).toBe(true)
})

test('in a cluster somebody must be able to connect: a password file or anonymous on purpose', () => {
  expect(() => decide({ BREAKWATER_REDIS_URL: 'redis://127.0.0.1' })).toThrow(
    /^BREAKWATER_PASSWORD_FILE: nobody could connect/,
  )
  const open = decide({
    BREAKWATER_REDIS_URL: 'redis://127.0.0.1',
    BREAKWATER_ALLOW_ANONYMOUS: 'true',
  })
  expect(open.redis?.prefix).toBe('breakwater:')
})

test.each([
  [
    { BREAKWATER_QUEUE_POLICY: 'drop' },
    /^BREAKWATER_QUEUE_POLICY: must be one of drop-oldest, drop-newest, close-publisher, not "drop"$/,
  ],
  [{ BREAKWATER_LISTN: 'x' }, /^BREAKWATER_LISTN: unknown variable/],
  [{ BREAKWATER_TLS_CRT: 'x' }, /did you mean BREAKWATER_TLS_CERT\?/],
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
])('%o stops the start with one line', (environment, message) => {
  expect(() => decide(environment as unknown as Record<string, string>)).toThrow(message)
})

test.each(['stored', 'fsynced', 'replicated:2'])('an acknowledgement may be %s', (level) => {
  const redis = { BREAKWATER_REDIS_URL: 'redis://127.0.0.1', BREAKWATER_ALLOW_ANONYMOUS: 'true' }
  expect(decide({ ...redis, BREAKWATER_ACK: level }).ack).toBe(level)
})

test('a Redis address that is no URL is not repeated: it may hold a password', () => {
  for (const url of ['redis://keeper:sesame/@127.0.0.1', 'sesame', 'redis://:sesame@']) {
    const start = () => decide({ BREAKWATER_REDIS_URL: url })
    expect(start).toThrow(/^BREAKWATER_REDIS_URL: /)
    expect(start).not.toThrow(/sesame/)
  }
})

test('what Kubernetes injects for a Service of this name is no error', () => {
  decide({ BREAKWATER_PORT: 'tcp://10.0.0.1:8883', BREAKWATER_SERVICE_HOST: '10.0.0.1' })
})

test('a variable wins over the file, and an error names the place it came from', () => {
  const file = yaml('listen: [mqtts://0.0.0.0:1, "mqtt://[::1]:2"]\nlogLevel: debug\n')
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
