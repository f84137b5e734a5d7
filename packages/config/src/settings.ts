/**
 * Every setting of a node, once: its name in a YAML file and its environment variable. docs/CONFIG.md
 * lists the same names (held together by test/tidy/reference-docs.test.ts).
 */
export const SETTINGS = {
  listen: 'BREAKWATER_LISTEN',
  admin: 'BREAKWATER_ADMIN',
  adminTokenFile: 'BREAKWATER_ADMIN_TOKEN_FILE',
  clientAddress: 'BREAKWATER_CLIENT_ADDRESS',
  redisUrl: 'BREAKWATER_REDIS_URL',
  redisPasswordFile: 'BREAKWATER_REDIS_PASSWORD_FILE',
  redisSentinelPasswordFile: 'BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE',
  redisCa: 'BREAKWATER_REDIS_CA',
  redisCert: 'BREAKWATER_REDIS_CERT',
  redisKey: 'BREAKWATER_REDIS_KEY',
  redisPrefix: 'BREAKWATER_REDIS_PREFIX',
  tlsCert: 'BREAKWATER_TLS_CERT',
  tlsKey: 'BREAKWATER_TLS_KEY',
  tlsClientCa: 'BREAKWATER_TLS_CLIENT_CA',
  tlsCrl: 'BREAKWATER_TLS_CRL',
  tlsClientAuth: 'BREAKWATER_TLS_CLIENT_AUTH',
  tlsMinVersion: 'BREAKWATER_TLS_MIN_VERSION',
  tlsCiphers: 'BREAKWATER_TLS_CIPHERS',
  tlsIdentity: 'BREAKWATER_TLS_IDENTITY',
  tlsTicketKey: 'BREAKWATER_TLS_TICKET_KEY',
  tlsTicketWrapKey: 'BREAKWATER_TLS_TICKET_WRAP_KEY',
  tlsExpiredClients: 'BREAKWATER_TLS_EXPIRED_CLIENTS',
  passwordFile: 'BREAKWATER_PASSWORD_FILE',
  jwtKeys: 'BREAKWATER_JWT_KEYS',
  jwtCa: 'BREAKWATER_JWT_CA',
  jwtAudience: 'BREAKWATER_JWT_AUDIENCE',
  jwtIssuer: 'BREAKWATER_JWT_ISSUER',
  jwtUsernameClaim: 'BREAKWATER_JWT_USERNAME_CLAIM',
  authHttpUrl: 'BREAKWATER_AUTH_HTTP_URL',
  authHttpTokenFile: 'BREAKWATER_AUTH_HTTP_TOKEN_FILE',
  authHttpCa: 'BREAKWATER_AUTH_HTTP_CA',
  authHttpPlain: 'BREAKWATER_AUTH_HTTP_PLAIN',
  allowAnonymous: 'BREAKWATER_ALLOW_ANONYMOUS',
  clientId: 'BREAKWATER_CLIENT_ID',
  aclFile: 'BREAKWATER_ACL_FILE',
  publishDenied: 'BREAKWATER_PUBLISH_DENIED',
  ack: 'BREAKWATER_ACK',
  sharedStrategy: 'BREAKWATER_SHARED_STRATEGY',
  sessionExpiry: 'BREAKWATER_SESSION_EXPIRY',
  queuePolicy: 'BREAKWATER_QUEUE_POLICY',
  sysInterval: 'BREAKWATER_SYS_INTERVAL',
  logLevel: 'BREAKWATER_LOG_LEVEL',
  shutdownTimeout: 'BREAKWATER_SHUTDOWN_TIMEOUT',
  devDir: 'BREAKWATER_DEV_DIR',
} as const

export type SettingName = keyof typeof SETTINGS

export const settingNames: readonly SettingName[] = Object.keys(SETTINGS) as SettingName[]

/** What was written, before anything is decided: strings only, and where each of them came from. */
export interface Settings {
  readonly values: Partial<Record<SettingName, string>>
  readonly limits: Readonly<Record<string, string>>
  /** Where a setting was read, as a person would look for it: `BREAKWATER_ACK` or `ack in node.yaml`. */
  readonly origin: (name: string) => string
}

/** A setting that stops the start. The message is one line that names the key and the way out. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}
