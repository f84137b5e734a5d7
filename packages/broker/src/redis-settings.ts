import { readNamedFile, readSecretFile, type RedisConfig } from '@breakwater/config'
import type { RedisSettings } from '@breakwater/redis'

/** What connections need, read from the files that the configuration names. */
export function redisSettings(redis: RedisConfig): RedisSettings {
  const { url, passwordFile, sentinelPasswordFile, caFile, tls, prefix } = redis
  const secret = (name: string, path: string | undefined): string | undefined =>
    path === undefined ? undefined : readSecretFile(name, path)
  const file = (name: string, path: string | undefined): string | undefined =>
    path === undefined ? undefined : readNamedFile(name, path)
  return {
    url,
    password: secret('BREAKWATER_REDIS_PASSWORD_FILE', passwordFile),
    sentinelPassword: secret('BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE', sentinelPasswordFile),
    ca: file('BREAKWATER_REDIS_CA', caFile),
    cert: file('BREAKWATER_REDIS_CERT', tls?.certFile),
    key: file('BREAKWATER_REDIS_KEY', tls?.keyFile),
    prefix,
  }
}
