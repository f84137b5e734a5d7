import { X509Certificate } from 'node:crypto'
import { ConfigError, readNamedFile, readSecretFile, type RedisConfig } from '@breakwater/config'
import type { RedisSettings } from '@breakwater/redis'
import { checkPair } from '../listen/tls-context.ts'

const CA = 'BREAKWATER_REDIS_CA'
const PAIR = { cert: 'BREAKWATER_REDIS_CERT', key: 'BREAKWATER_REDIS_KEY' } as const

/**
 * What connections need, read from the files that the configuration names.
 *
 * @throws {ConfigError} one line that names the setting, the file and what is wrong with it
 */
export function redisSettings(redis: RedisConfig): RedisSettings {
  const { url, passwordFile, sentinelPasswordFile, caFile, tls, prefix } = redis
  const cert = tls && readNamedFile(PAIR.cert, tls.certFile)
  const key = tls && readNamedFile(PAIR.key, tls.keyFile)
  if (tls !== undefined)
    checkPair(tls, (path) => Buffer.from((path === tls.certFile ? cert : key) ?? ''), PAIR)
  return {
    url,
    password: password('BREAKWATER_REDIS_PASSWORD_FILE', passwordFile),
    sentinelPassword: password('BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE', sentinelPasswordFile),
    ca: caFile === undefined ? undefined : readAuthorities(caFile),
    cert,
    key,
    prefix,
  }
}

function password(setting: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  const secret = readSecretFile(setting, path)
  if (secret === '')
    throw new ConfigError(`${setting}: ${path} is empty; write the password into it, on one line`)
  return secret
}

function readAuthorities(path: string): string {
  const pem = readNamedFile(CA, path)
  try {
    void new X509Certificate(pem)
  } catch (cause) {
    throw new ConfigError(
      `${CA}: ${path} is not a PEM certificate; give a file with -----BEGIN CERTIFICATE-----`,
      { cause },
    )
  }
  return pem
}
