/** Layer two: decides. Defaults, parsing, checks across settings; the result is one frozen object. */
import { parseClientIdRule, type ClientIdRule } from './client-id-rule.ts'
import { checkEffects } from './effects.ts'
import { bareHost, checkPlain, parseListeners, parseUrl, type ListenerConfig } from './listeners.ts'
import { checkAccess } from './listener-access.ts'
import { decideTls, type TlsParameter, type TlsTexts } from './listener-tls.ts'
import { limitDeclarations, limitNames, limitsWith, type LimitName, type Limits } from './limits.ts'
import { parseRedisAddress } from './redis-address.ts'
import { decideAuthHttp, decideJwt, type AuthHttpConfig, type JwtConfig } from './services.ts'
import { ConfigError, SETTINGS, type SettingName, type Settings } from './settings.ts'
import { parseBoolean, parsePath, type Fail, type Read } from './values.ts'

export interface RedisConfig {
  /** Of a form that `parseRedisAddress` reads. */
  readonly url: string
  readonly passwordFile: string | undefined
  readonly caFile: string | undefined
  /** What nodes show to Redis. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  readonly sentinelPasswordFile: string | undefined
  /** Starts the name of every key and channel. */
  readonly prefix: string
  /** Under which nodes keep a common ticket key there; unset: they have none. */
  readonly ticketWrapKeyFile: string | undefined
}

export interface Config {
  readonly listeners: readonly ListenerConfig[]
  readonly admin: { readonly host: string; readonly port: number }
  /** Holds what opens `/api/v1`; unset: it reads only, and for this machine only. */
  readonly adminTokenFile: string | undefined
  /**
   * Whether the address of a socket is its client's. Where something between them puts its own in the place,
   * as a Service of Kubernetes may, a bound per address would be one for the whole fleet.
   */
  readonly clientAddress: 'unknown' | 'real'
  /** Unset: embedded, one node, everything in memory. */
  readonly redis: RedisConfig | undefined
  readonly passwordFile: string | undefined
  /** Tokens as passwords. */
  readonly jwt: JwtConfig | undefined
  /** Who else is asked who a client is. */
  readonly authHttp: AuthHttpConfig | undefined
  /** Rules of who may publish and subscribe where; unset: everybody everywhere. */
  readonly aclFile: string | undefined
  /** What happens to a client that publishes where it may not. */
  readonly publishDenied: 'drop' | 'close'
  /** What an acknowledgement asks for. */
  readonly ack: AckLevel
  /** Which member of a shared subscription gets a message. */
  readonly sharedStrategy: SharedStrategy
  readonly sessionExpiryMs: number
  /** What happens at `queueMessagesMax` and `queueBytesMax`. */
  readonly queuePolicy: QueuePolicy
  /** How often a node says how it is, under `$SYS`; 0: never. */
  readonly sysIntervalMs: number
  readonly logLevel: LogLevel
  readonly shutdownTimeoutMs: number
  readonly devDir: string
  readonly limits: Limits
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

type AckLevel = 'stored' | `replicated:${number}` | 'fsynced'
const ACK_REPLICAS_MAX = 100

const CLIENT_ADDRESSES = ['unknown', 'real'] as const
const PUBLISH_DENIED = ['drop', 'close'] as const
const QUEUE_POLICIES = ['drop-oldest', 'drop-newest', 'close-publisher'] as const
type QueuePolicy = (typeof QUEUE_POLICIES)[number]
export const SHARED_STRATEGIES = ['local', 'random', 'hash-client', 'hash-topic'] as const
export type SharedStrategy = (typeof SHARED_STRATEGIES)[number]

/**
 * @throws {ConfigError} one line that names the setting that is wrong and what it may be
 */
export function decideConfig(settings: Settings): Config {
  const { values } = settings
  const read: Read = (name, parse, fallback) => {
    const text = values[name]
    if (text === undefined) return fallback()
    return parse(text.trim(), (why) => new ConfigError(`${settings.origin(name)}: ${why}`))
  }

  const admin = read('admin', parseAdmin, () => ({ host: '127.0.0.1', port: 9464 }))
  const redisUrl = read('redisUrl', parseRedisUrl, () => undefined)
  const tls = decideCommonTls(settings)
  const passwordFile = read('passwordFile', parsePath, () => undefined)
  const jwt = decideJwt(settings, read)
  const authHttp = decideAuthHttp(settings, read)
  const embedded = redisUrl === undefined
  const claims = jwt !== undefined || authHttp !== undefined
  const facts = { embedded, logins: claims || passwordFile !== undefined, claims }
  const listeners = parseListeners(
    values.listen?.trim() ?? 'mqtts://127.0.0.1:8883',
    {
      tls,
      anonymous: read<boolean | undefined>('allowAnonymous', parseBoolean, () => undefined),
      clientId: read<ClientIdRule | undefined>('clientId', parseClientIdRule, () => undefined),
    },
    facts,
    (why) => new ConfigError(`${settings.origin('listen')}: ${why}`),
  )
  const readPair = (
    cert: SettingName,
    key: SettingName,
  ): { readonly certFile: string; readonly keyFile: string } | undefined => {
    const certFile = read(cert, parsePath, () => undefined)
    const keyFile = read(key, parsePath, () => undefined)
    if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
    if (certFile === undefined && keyFile === undefined) return undefined
    const [given, missing] = certFile === undefined ? [key, cert] : [cert, key]
    throw new ConfigError(`${settings.origin(given)}: needs ${SETTINGS[missing]} beside it`)
  }
  const ack = read('ack', parseAck, () => 'stored' as const)
  checkEffects(settings, { listeners, admin, redisUrl, ack })
  for (const listener of listeners)
    checkAccess(listener, facts, (name, why) => {
      // A listener has its rule from its URL, unless there is a common one.
      const setting = values[name] === undefined && name === 'clientId' ? 'listen' : name
      return new ConfigError(`${settings.origin(setting)}: ${why}`)
    })
  return Object.freeze({
    listeners,
    admin,
    adminTokenFile: read('adminTokenFile', parsePath, () => undefined),
    clientAddress: read('clientAddress', oneOf(CLIENT_ADDRESSES), () => 'unknown' as const),
    redis: embedded
      ? undefined
      : {
          url: redisUrl,
          passwordFile: read('redisPasswordFile', parsePath, () => undefined),
          caFile: read('redisCa', parsePath, () => undefined),
          tls: readPair('redisCert', 'redisKey'),
          sentinelPasswordFile: read('redisSentinelPasswordFile', parsePath, () => undefined),
          prefix: read('redisPrefix', parsePrefix, () => 'breakwater:'),
          ticketWrapKeyFile: read('tlsTicketWrapKey', parsePath, () => undefined),
        },
    passwordFile,
    jwt,
    authHttp,
    aclFile: read('aclFile', parsePath, () => undefined),
    publishDenied: read('publishDenied', oneOf(PUBLISH_DENIED), () => 'drop' as const),
    ack,
    sharedStrategy: read('sharedStrategy', oneOf(SHARED_STRATEGIES), () => 'local' as const),
    sessionExpiryMs: read('sessionExpiry', durationFrom('2s', '3650d'), () => 7 * 86_400_000),
    queuePolicy: read('queuePolicy', oneOf(QUEUE_POLICIES), () => 'drop-oldest' as const),
    sysIntervalMs: read('sysInterval', parseSysInterval, () => 10_000),
    logLevel: read('logLevel', oneOf(LOG_LEVELS), () => 'info' as const),
    shutdownTimeoutMs: read('shutdownTimeout', durationFrom('1s', '1h'), () => 25_000),
    devDir: read('devDir', parsePath, () => '.dev'),
    limits: decideLimits(settings),
  })
}

const TLS_SETTINGS = {
  tlsCert: 'cert',
  tlsKey: 'key',
  tlsClientCa: 'client-ca',
  tlsCrl: 'crl',
  tlsClientAuth: 'client-auth',
  tlsMinVersion: 'min-version',
  tlsCiphers: 'ciphers',
  tlsIdentity: 'identity',
  tlsTicketKey: 'ticket-key',
  tlsExpiredClients: 'expired-clients',
} as const

type TlsSetting = keyof typeof TLS_SETTINGS

/** What holds for every listener; each value is checked here, under its own name. */
function decideCommonTls(settings: Settings): TlsTexts {
  const texts: Partial<Record<TlsParameter, string>> = {}
  for (const setting of Object.keys(TLS_SETTINGS) as TlsSetting[]) {
    const parameter = TLS_SETTINGS[setting]
    const text = settings.values[setting]?.trim()
    if (text === undefined) continue
    const fail = (why: string): ConfigError =>
      new ConfigError(`${settings.origin(setting)}: ${why}`)
    texts[parameter] = parsePath(text, fail)
    if (setting === 'tlsCert' && settings.values.tlsKey === undefined)
      throw fail('needs BREAKWATER_TLS_KEY beside it')
    if (setting === 'tlsKey' && settings.values.tlsCert === undefined)
      throw fail('needs BREAKWATER_TLS_CERT beside it')
    // Alone, so that the line names this setting; what belongs beside it is another question.
    if (setting !== 'tlsCert' && setting !== 'tlsKey')
      decideTls({ 'client-ca': text, [parameter]: text }, fail)
  }
  return texts
}

function decideLimits(settings: Settings): Limits {
  const overrides: Partial<Record<LimitName, number>> = {}
  for (const name of limitNames) {
    const text = settings.limits[name]
    if (text === undefined) continue
    const { min, max, unit } = limitDeclarations[name]
    // Number('') is 0, which would mean no limit.
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max)) {
      throw new ConfigError(
        `${settings.origin(name)}: must be a whole number from ${min} to ${max} (${unit}), not "${text}"`,
      )
    }
    overrides[name] = value
  }
  return limitsWith(overrides)
}

function parseAdmin(text: string, fail: Fail): { host: string; port: number } {
  const url = parseUrl(text, fail)
  if (url.protocol !== 'http:') throw fail(`"${text}" must start with http://`)
  checkPlain(url, fail)
  if (url.pathname !== '/' || url.search !== '')
    throw fail(`"${text}" must be http://host:port, without a path`)
  return {
    host: bareHost(url),
    port: url.port === '' ? (/:0*80\/?$/.test(text) ? 80 : 9464) : Number(url.port),
  }
}

function parseRedisUrl(text: string, fail: Fail): string {
  try {
    parseRedisAddress(text)
  } catch (error) {
    throw fail((error as Error).message)
  }
  return text
}

function parsePrefix(text: string, fail: Fail): string {
  if (text === '') throw fail('is empty; give a prefix or unset it')
  if (/[{}\s]/.test(text)) throw fail('must not hold braces or white space')
  return text
}

function parseAck(text: string, fail: Fail): AckLevel {
  if (text === 'stored' || text === 'fsynced') return text
  const replicas = Number(/^replicated:(\d+)$/.exec(text)?.[1])
  if (replicas >= 1 && replicas <= ACK_REPLICAS_MAX) return `replicated:${replicas}`
  throw fail(
    `must be stored, fsynced or replicated:N with N from 1 to ${ACK_REPLICAS_MAX}, not "${text}"`,
  )
}

function oneOf<Word extends string>(words: readonly Word[]): (text: string, fail: Fail) => Word {
  return (text, fail) => {
    const found = words.find((word) => word === text)
    if (found === undefined) throw fail(`must be one of ${words.join(', ')}, not "${text}"`)
    return found
  }
}

function parseSysInterval(text: string, fail: Fail): number {
  return milliseconds(text) === 0 ? 0 : durationFrom('1s', '1h')(text, fail)
}

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `500ms`, `30s`, `5m`, `12h`, `7d` → milliseconds; undefined for anything else. */
function milliseconds(text: string): number | undefined {
  const [, digits, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? []
  return digits === undefined ? undefined : Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]
}

function durationFrom(min: string, max: string): (text: string, fail: Fail) => number {
  return (text, fail) => {
    const value = milliseconds(text)
    if (value === undefined) throw fail(`must be a duration such as 30s, 5m or 7d, not "${text}"`)
    if (value < (milliseconds(min) ?? 0) || value > (milliseconds(max) ?? Infinity))
      throw fail(`must be from ${min} to ${max}, not ${text}`)
    return value
  }
}
