/**
 * Settings that would do nothing beside the others: somebody who gives one believes that it does something, so
 * it stops the start.
 */
import type { ListenerConfig } from './listeners.ts'
import { sharedPort, type ListenAddress } from './ports.ts'
import { parseRedisAddress } from './redis-address.ts'
import { ConfigError, SETTINGS, type SettingName, type Settings } from './settings.ts'

interface Decided {
  readonly listeners: readonly ListenerConfig[]
  readonly admin: Omit<ListenAddress, 'name'>
  readonly redisUrl: string | undefined
  readonly ack: string
}

/** @throws {ConfigError} one line that names the setting and what it needs beside it */
export function checkEffects(settings: Settings, decided: Decided): void {
  const { values } = settings
  const { listeners, redisUrl, ack } = decided
  const given = (name: SettingName): boolean => values[name] !== undefined
  const fail = (name: SettingName, why: string): ConfigError =>
    new ConfigError(`${settings.origin(name)}: ${why}`)
  const need = (names: readonly SettingName[], met: boolean, what: string): void => {
    const idle = met ? undefined : names.find(given)
    if (idle !== undefined) throw fail(idle, `has no effect without ${what}`)
  }
  const verifies = listeners.some(({ tls }) => tls !== undefined && tls.clientAuth !== 'none')

  need(
    OF_TLS,
    listeners.some(({ tls }) => tls !== undefined),
    'a listener with mqtts:// or wss://',
  )
  need(OF_CLIENT_CERTIFICATES, verifies, SETTINGS.tlsClientAuth)
  need(OF_REDIS, redisUrl !== undefined, SETTINGS.redisUrl)
  need(OF_TOKENS, given('jwtKeys'), SETTINGS.jwtKeys)
  need(OF_HOOK, given('authHttpUrl'), SETTINGS.authHttpUrl)
  need(['publishDenied'], given('aclFile'), SETTINGS.aclFile)
  if (redisUrl === undefined && ack !== 'stored')
    throw fail('ack', `${ack} has no effect without ${SETTINGS.redisUrl}`)
  if (given('tlsTicketKey') && given('tlsTicketWrapKey'))
    throw fail(
      'tlsTicketWrapKey',
      `has no effect beside ${SETTINGS.tlsTicketKey}; give one of them`,
    )
  if (redisUrl !== undefined)
    for (const name of OF_REDIS) {
      const what = REDIS_FILES[name]
      const why = what !== undefined && given(name) ? redisFileFault(redisUrl, what) : undefined
      if (why !== undefined) throw fail(name, why)
    }
  checkPorts(settings, decided)
}

const OF_TLS = [
  'tlsCert',
  'tlsKey',
  'tlsMinVersion',
  'tlsCiphers',
  'tlsTicketKey',
  'tlsTicketWrapKey',
] as const

const OF_CLIENT_CERTIFICATES = [
  'tlsClientCa',
  'tlsCrl',
  'tlsIdentity',
  'tlsExpiredClients',
] as const

const OF_REDIS = [
  'redisPasswordFile',
  'redisSentinelPasswordFile',
  'redisCa',
  'redisCert',
  'redisKey',
  'redisPrefix',
  'tlsTicketWrapKey',
] as const

const OF_TOKENS = ['jwtCa', 'jwtAudience', 'jwtIssuer', 'jwtUsernameClaim'] as const

const OF_HOOK = ['authHttpTokenFile', 'authHttpCa', 'authHttpPlain'] as const

type RedisFile = 'password' | 'sentinel-password' | 'tls'
const REDIS_FILES: Readonly<Partial<Record<SettingName, RedisFile>>> = {
  redisPasswordFile: 'password',
  redisSentinelPasswordFile: 'sentinel-password',
  redisCa: 'tls',
  redisCert: 'tls',
  redisKey: 'tls',
}

/** Why a file would not be used with this address, which is sound. */
export function redisFileFault(url: string, file: RedisFile): string | undefined {
  const { tls, master, password } = parseRedisAddress(url)
  const scheme = url.slice(0, url.indexOf(':'))
  if (file === 'tls')
    return tls
      ? undefined
      : `has no effect with ${scheme}://; use ${scheme.replace('redis', 'rediss')}://`
  if (file === 'sentinel-password')
    return master === undefined
      ? `has no effect with ${scheme}://, which has no sentinels; use redis-sentinel:// or rediss-sentinel://`
      : undefined
  return password === undefined ? undefined : 'the address holds a password, too; give one of them'
}

/** The second of two would find its port in use, when the node is half started. */
function checkPorts(settings: Settings, { listeners, admin }: Decided): void {
  const shared = sharedPort([...listeners, { ...admin, name: SETTINGS.admin }])
  if (shared === undefined) return
  const [one, other] = shared.map(({ name, host, port }) => `${name} (${host}:${port})`)
  throw new ConfigError(
    `${settings.origin('listen')}: ${one} and ${other} are on one port; give one of them another`,
  )
}
