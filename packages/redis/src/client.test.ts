import { describe, expect, it } from 'vitest'
import { createRedis, credentialsOf, type RedisRole, type RedisSettings } from './client.ts'

const settings: RedisSettings = {
  url: 'redis://127.0.0.1:1',
  password: undefined,
  ca: undefined,
  prefix: 'p:',
}

function optionsOf(role: RedisRole, changes: Partial<RedisSettings> = {}, timeoutMs?: number) {
  const extra = timeoutMs === undefined ? {} : { timeoutMs }
  return createRedis({ ...settings, ...changes }, role, extra).options
}

/** What the server is told, and how. */
function handshakeOf(changes: Partial<RedisSettings>) {
  const credentials = credentialsOf({ ...settings, ...changes }, 'data')
  return { ...credentials.handshake(), tls: credentials.tls() }
}

describe('a connection to Redis', () => {
  it('of the data role sends no command twice and queues no command', () => {
    expect(optionsOf('data')).toMatchObject({
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
    })
  })

  it('of the control role waits for Redis to come back, within its time-out', () => {
    expect(optionsOf('control', {}, 1_234)).toMatchObject({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: 1_234,
    })
    expect(optionsOf('control')).toMatchObject({ maxRetriesPerRequest: 3 })
  })

  it('of the subscriber role reconnects for ever and leaves subscribing again to its owner', () => {
    expect(optionsOf('subscriber')).toMatchObject({
      maxRetriesPerRequest: null,
      autoResubscribe: false,
    })
  })

  it.each(['data', 'control', 'subscriber'] as const)('of the %s role has a name', (role) => {
    expect(credentialsOf(settings, role).handshake().connectionName).toBe(`breakwater-${role}`)
  })

  it('connects again after a delay that grows to two seconds at most', () => {
    const { retryStrategy } = optionsOf('data')
    const delays = [1, 2, 5, 50, 5_000].map((attempt) => Number(retryStrategy?.(attempt)))
    expect(Math.max(...delays)).toBeLessThanOrEqual(2_000)
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(50)
    expect(delays.at(-1)).toBeGreaterThanOrEqual(1_000)
  })

  it('puts a prefix before keys only when one is given', () => {
    expect(createRedis(settings, 'control', { keyPrefix: 'p:' }).options.keyPrefix).toBe('p:')
    expect(createRedis(settings, 'control').options.keyPrefix).toBe('')
  })
})

describe('a Redis address', () => {
  it('takes user, password and database from the URL', () => {
    expect(handshakeOf({ url: 'redis://ann:s%2Fec@host:6380/3' })).toMatchObject({
      username: 'ann',
      password: 's/ec',
      database: 3,
    })
  })

  it.each(['p@ss/w:rd %41?#', 'ünïcode', ' '])(
    'takes a password of the settings unchanged, beside a user of the URL: %j',
    (password) => {
      const told = handshakeOf({ url: 'redis://ann@host', password })
      expect(told).toMatchObject({ username: 'ann', password })
    },
  )

  it('verifies the server of a rediss URL, with the given authority if there is one', () => {
    expect(handshakeOf({ url: 'rediss://host' }).tls).toBeTruthy()
    expect(handshakeOf({ url: 'rediss://host', ca: 'PEM' }).tls).toEqual({ ca: 'PEM' })
    expect(handshakeOf({}).tls).toBeUndefined()
  })

  it('of sentinels asks the sentinels for the master, with the sentinel password', () => {
    const url = 'rediss-sentinel://ann:one@s1,s2:26380/main/3'
    const changes = { url, ca: 'PEM', sentinelPassword: 'two' }
    const { sentinels, ...options } = optionsOf('data', changes)
    expect(sentinels).toEqual([
      { host: 's1', port: 26_379 },
      { host: 's2', port: 26_380 },
    ])
    expect(options).toMatchObject({
      name: 'main',
      sentinelPassword: 'two',
      tls: { ca: 'PEM' },
      sentinelTLS: { ca: 'PEM' },
      enableTLSForSentinelMode: true,
    })
    expect(handshakeOf(changes)).toMatchObject({ username: 'ann', password: 'one', database: 3 })
  })

  it('presents the client certificate when there is one', () => {
    const changes = { url: 'rediss://host', cert: 'CERT', key: 'KEY' }
    expect(handshakeOf(changes).tls).toEqual({ cert: 'CERT', key: 'KEY' })
  })

  it('leaves SELECT and AUTH to the broker, since the client library ignores a refusal', () => {
    const url = 'redis://ann:one@host/3'
    expect(optionsOf('data', { url })).toMatchObject({ db: 0, password: null, username: null })
  })

  it('reads its secrets again at each attempt', () => {
    const changing = { ...settings, url: 'rediss://host', password: 'one', ca: 'A' }
    const credentials = credentialsOf(changing, 'data')
    Object.assign(changing, { password: 'two', ca: 'B' })
    expect(credentials.handshake().password).toBe('two')
    expect(credentials.tls()).toEqual({ ca: 'B' })
  })
})
