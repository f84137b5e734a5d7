import { describe, expect, it } from 'vitest'
import { createRedis, type RedisRole, type RedisSettings } from './client.ts'

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

describe('a connection', () => {
  it('of the data role sends nothing twice and queues nothing', () => {
    expect(optionsOf('data')).toMatchObject({
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
    })
  })

  it('of the control role waits for Redis to come back, as long as it is told', () => {
    expect(optionsOf('control', {}, 1_234)).toMatchObject({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: 1_234,
    })
    expect(optionsOf('control')).toMatchObject({ maxRetriesPerRequest: 3 })
  })

  it('of the subscriber role never gives up and leaves subscribing again to its owner', () => {
    expect(optionsOf('subscriber')).toMatchObject({
      maxRetriesPerRequest: null,
      autoResubscribe: false,
    })
  })

  it.each(['data', 'control', 'subscriber'] as const)('of the %s role has a name', (role) => {
    expect(optionsOf(role).connectionName).toBe(`breakwater-${role}`)
  })

  it('connects again after a delay that grows to two seconds at most', () => {
    const { retryStrategy } = optionsOf('data')
    const delays = [1, 2, 5, 50, 5_000].map((attempt) => Number(retryStrategy?.(attempt)))
    expect(Math.max(...delays)).toBeLessThanOrEqual(2_000)
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(50)
    expect(delays.at(-1)).toBeGreaterThanOrEqual(1_000)
  })

  it('puts a prefix before keys only where it is asked to', () => {
    expect(createRedis(settings, 'control', { keyPrefix: 'p:' }).options.keyPrefix).toBe('p:')
    expect(createRedis(settings, 'control').options.keyPrefix).toBe('')
  })
})

describe('the address', () => {
  it('takes user, password and database from the URL', () => {
    expect(optionsOf('data', { url: 'redis://ann:s%2Fec@host:6380/3' })).toMatchObject({
      host: 'host',
      port: 6_380,
      username: 'ann',
      password: 's/ec',
      db: 3,
    })
  })

  it.each(['p@ss/w:rd %41?#', 'ünïcode', ' '])(
    'takes a password of the settings as it is, beside a user of the URL: %j',
    (password) => {
      const options = optionsOf('data', { url: 'redis://ann@host', password })
      expect(options).toMatchObject({ username: 'ann', password })
    },
  )

  it('verifies the server of a rediss URL, against the given authority if there is one', () => {
    expect(optionsOf('data', { url: 'rediss://host' }).tls).toBeTruthy()
    expect(optionsOf('data', { url: 'rediss://host', ca: 'PEM' }).tls).toEqual({ ca: 'PEM' })
    expect(optionsOf('data').tls).toBeUndefined()
  })

  it('of sentinels asks them for the master, with a password of their own', () => {
    const url = 'rediss-sentinel://ann:one@s1,s2:26380/main/3'
    const { sentinels, ...options } = optionsOf('data', { url, ca: 'PEM', sentinelPassword: 'two' })
    expect(sentinels).toEqual([
      { host: 's1', port: 26_379 },
      { host: 's2', port: 26_380 },
    ])
    expect(options).toMatchObject({
      name: 'main',
      username: 'ann',
      password: 'one',
      sentinelPassword: 'two',
      db: 3,
      tls: { ca: 'PEM' },
      sentinelTLS: { ca: 'PEM' },
      enableTLSForSentinelMode: true,
    })
  })

  it('shows a certificate of its own where there is one', () => {
    const changes = { url: 'rediss://host', cert: 'CERT', key: 'KEY' }
    expect(optionsOf('data', changes).tls).toEqual({ cert: 'CERT', key: 'KEY' })
  })

  it('cannot undo what a role is by a query', () => {
    const { options } = createRedis(
      { ...settings, url: 'redis://host?enableOfflineQueue=true&maxRetriesPerRequest=9' },
      'data',
    )
    expect(options).toMatchObject({ enableOfflineQueue: false, maxRetriesPerRequest: 0 })
  })
})
