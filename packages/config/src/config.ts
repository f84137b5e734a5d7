/** Layer two: decides. Defaults, parsing, checks across settings; the result is one frozen object. */
import { limitDeclarations, limitNames, limitsWith, type LimitName, type Limits } from './limits.ts'
import { parseRedisAddress } from './redis-address.ts'
import { ConfigError, SETTINGS, type SettingName, type Settings } from './settings.ts'

export interface ListenerConfig {
  /** Label of metrics and log lines, unique per node: `mqtts`, or `mqtts-8884` for a second one. */
  readonly name: string
  readonly protocol: 'mqtts' | 'mqtt'
  readonly host: string
  readonly port: number
}

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
}

export interface Config {
  readonly listeners: readonly ListenerConfig[]
  readonly admin: { readonly host: string; readonly port: number }
  /** Unset: embedded, one node, everything in memory. */
  readonly redis: RedisConfig | undefined
  /** Unset: a development CA is made in `devDir`. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  readonly passwordFile: string | undefined
  readonly allowAnonymous: boolean
  readonly ack: 'stored'
  readonly sessionExpiryMs: number
  readonly logLevel: LogLevel
  readonly shutdownTimeoutMs: number
  readonly devDir: string
  readonly limits: Limits
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * @throws {ConfigError} one line that names the setting that is wrong and what it may be
 */
export function decideConfig(settings: Settings): Config {
  const { values } = settings
  const read = <T>(
    name: SettingName,
    parse: (text: string, fail: Fail) => T,
    fallback: () => T,
  ): T => {
    const text = values[name]
    if (text === undefined) return fallback()
    return parse(text.trim(), (why) => new ConfigError(`${settings.origin(name)}: ${why}`))
  }

  const listeners = read('listen', parseListeners, () => [
    { name: 'mqtts', protocol: 'mqtts' as const, host: '0.0.0.0', port: 8883 },
  ])
  const admin = read('admin', parseAdmin, () => ({ host: '0.0.0.0', port: 9464 }))
  const redisUrl = read('redisUrl', parseRedisUrl, () => undefined)
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
  const tls = readPair('tlsCert', 'tlsKey')
  const passwordFile = read('passwordFile', parsePath, () => undefined)
  const embedded = redisUrl === undefined
  const allowAnonymous = read(
    'allowAnonymous',
    parseBoolean,
    () => embedded && passwordFile === undefined,
  )
  if (!allowAnonymous && passwordFile === undefined) {
    throw new ConfigError(
      `${settings.origin('passwordFile')}: nobody could connect: give a file made with ` +
        '`breakwater passwd FILE USER`, or set BREAKWATER_ALLOW_ANONYMOUS=true',
    )
  }
  for (const name of REDIS_SETTINGS) {
    if (embedded && values[name] !== undefined)
      throw new ConfigError(`${settings.origin(name)}: has no effect without BREAKWATER_REDIS_URL`)
  }
  return Object.freeze({
    listeners,
    admin,
    redis: embedded
      ? undefined
      : {
          url: redisUrl,
          passwordFile: read('redisPasswordFile', parsePath, () => undefined),
          caFile: read('redisCa', parsePath, () => undefined),
          tls: readPair('redisCert', 'redisKey'),
          sentinelPasswordFile: read('redisSentinelPasswordFile', parsePath, () => undefined),
          prefix: read('redisPrefix', parsePrefix, () => 'breakwater:'),
        },
    tls,
    passwordFile,
    allowAnonymous,
    ack: read('ack', parseAck, () => 'stored' as const),
    sessionExpiryMs: read('sessionExpiry', durationFrom('2s', '3650d'), () => 7 * 86_400_000),
    logLevel: read('logLevel', parseLogLevel, () => 'info' as const),
    shutdownTimeoutMs: read('shutdownTimeout', durationFrom('1s', '1h'), () => 25_000),
    devDir: read('devDir', parsePath, () => '.dev'),
    limits: decideLimits(settings),
  })
}

type Fail = (why: string) => ConfigError

const REDIS_SETTINGS = [
  'redisPasswordFile',
  'redisSentinelPasswordFile',
  'redisCa',
  'redisCert',
  'redisKey',
  'redisPrefix',
] as const

function decideLimits(settings: Settings): Limits {
  const overrides: Partial<Record<LimitName, number>> = {}
  for (const name of limitNames) {
    const text = settings.limits[name]
    if (text === undefined) continue
    const { min, max, unit } = limitDeclarations[name]
    const value = Number(text)
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new ConfigError(
        `${settings.origin(name)}: must be a whole number from ${min} to ${max} (${unit}), not "${text}"`,
      )
    }
    overrides[name] = value
  }
  return limitsWith(overrides)
}

function parseUrl(text: string, fail: Fail): URL {
  try {
    return new URL(text)
  } catch (cause) {
    throw Object.assign(fail(`"${text}" is not a URL`), { cause })
  }
}

function parseListeners(text: string, fail: Fail): readonly ListenerConfig[] {
  const listeners: ListenerConfig[] = []
  for (const part of text.split(',').map((item) => item.trim())) {
    const url = parseUrl(part, fail)
    const protocol = url.protocol.slice(0, -1)
    if (protocol === 'ws' || protocol === 'wss')
      throw fail(`"${part}": ${protocol}:// listeners are not available in this version`)
    if (protocol !== 'mqtts' && protocol !== 'mqtt')
      throw fail(`"${part}" must start with mqtts:// or mqtt://`)
    if (url.hostname === '') throw fail(`"${part}" needs a host to listen on, such as 0.0.0.0`)
    const port = url.port === '' ? (protocol === 'mqtts' ? 8883 : 1883) : Number(url.port)
    const taken = listeners.some((other) => other.name === protocol)
    listeners.push({
      name: taken ? `${protocol}-${listeners.length + 1}` : protocol,
      protocol,
      host: bareHost(url),
      port,
    })
  }
  return listeners
}

function parseAdmin(text: string, fail: Fail): { host: string; port: number } {
  const url = parseUrl(text, fail)
  if (url.protocol !== 'http:') throw fail(`"${text}" must start with http://`)
  return { host: bareHost(url), port: url.port === '' ? 9464 : Number(url.port) }
}

/** `[::1]` in a URL is `::1` for a socket. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

function parseRedisUrl(text: string, fail: Fail): string {
  try {
    parseRedisAddress(text)
  } catch (error) {
    throw fail((error as Error).message)
  }
  return text
}

function parsePath(text: string, fail: Fail): string {
  if (text === '') throw fail('is empty; name a file or unset it')
  return text
}

function parsePrefix(text: string, fail: Fail): string {
  if (/[{}\s]/.test(text)) throw fail('must not hold braces or white space')
  return text
}

function parseBoolean(text: string, fail: Fail): boolean {
  if (text === 'true') return true
  if (text === 'false') return false
  throw fail(`must be true or false, not "${text}"`)
}

function parseAck(text: string, fail: Fail): 'stored' {
  if (text === 'stored') return text
  if (text === 'fsynced' || /^replicated:\d+$/.test(text))
    throw fail(`"${text}" is not available in this version; use stored`)
  throw fail(`must be stored, not "${text}"`)
}

function parseLogLevel(text: string, fail: Fail): LogLevel {
  if (LOG_LEVELS.includes(text as LogLevel)) return text as LogLevel
  throw fail(`must be one of ${LOG_LEVELS.join(', ')}, not "${text}"`)
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
