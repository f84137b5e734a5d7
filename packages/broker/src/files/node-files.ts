/**
 * What is known of a configuration before a socket is opened or Redis is asked: every file that it names, read
 * and found good.
 *
 * In: the configuration. Out: what is in its files, for the stages that use them; the first fault is one line.
 * `serve` begins with it and `check-config` is nothing else, so neither accepts what the other refuses. A
 * setting that names a file has its line in `readNamed`, and its stage takes the content, not the path.
 */
import type { Config, ListenerConfig, ListenerTls } from '@breakwater/config'
import type { RedisSettings } from '@breakwater/redis'
import type { JSONWebKeySet } from 'jose'
import { AccessRules } from '../access/access-rules.ts'
import { parseAdminToken, type TokenDigest } from '../admin/admin-access.ts'
import { PasswordFile } from '../auth/password-file.ts'
import { parseJwks } from '../auth/jwks.ts'
import { parseServiceToken } from '../auth/service-token.ts'
import { parseAuthorityFile, checkDevelopmentCertificates, pairTls } from '@breakwater/certificates'
import { readGoodFile, type GoodFile } from './kept-file.ts'
import {
  makeCommonTls,
  makeTlsMaterial,
  readTlsFiles,
  type TlsMaterial,
} from '../listen/tls-context.ts'
import { redisSettings } from '../backplane/redis-settings.ts'
import { WrapKey } from '../tickets/wrap-key.ts'

export interface NodeFiles {
  /** Of the listeners that have TLS. */
  readonly tls: ReadonlyMap<ListenerConfig, ServedTls>
  /** PEM file of the development CA, if one is in use. */
  readonly developmentCa: string | undefined
  readonly passwords: GoodFile<PasswordFile> | undefined
  /** Undefined also where they are fetched. */
  readonly tokenKeys: GoodFile<JSONWebKeySet> | undefined
  /** Authorities of where they are fetched. */
  readonly tokenKeysCa: GoodFile<string> | undefined
  /** What the node shows to the HTTP hook. */
  readonly authHttpToken: GoodFile<string> | undefined
  readonly authHttpCa: GoodFile<string> | undefined
  readonly rules: GoodFile<AccessRules> | undefined
  readonly adminToken: GoodFile<TokenDigest> | undefined
  /** Undefined: embedded. */
  readonly redis: RedisSettings | undefined
  readonly wrapKey: WrapKey | undefined
}

interface ServedTls {
  readonly tls: ListenerTls
  readonly material: TlsMaterial
}

/**
 * Makes development certificates where none is named.
 *
 * @throws {ConfigError} one line that names the setting, the file and the way out
 */
export async function readNodeFiles(config: Config): Promise<NodeFiles> {
  const named = readNamed(config)
  const { tlsOf, developmentCa } = await pairTls(config)
  return { ...named, developmentCa, tls: readTls(config, tlsOf) }
}

/**
 * The same without making anything.
 *
 * @returns what a node would start with and somebody should know of, a line each
 * @throws {ConfigError} the line with which `readNodeFiles` would end
 */
export async function checkNodeFiles(config: Config): Promise<readonly string[]> {
  readNamed(config)
  await checkDevelopmentCertificates(config)
  readTls(config, ({ tls }) => tls)
  const remarks = config.listeners.flatMap(({ tls }) => (tls === undefined ? [] : endedOf(tls)))
  return [...new Set(remarks)]
}

/** Authorities beside others that have not ended. */
function endedOf(tls: ListenerTls): string[] {
  const nowMs = Date.now()
  const ends = makeCommonTls(tls, readTlsFiles(tls)).trust?.ends(nowMs) ?? []
  return ends
    .filter(({ endsMs }) => endsMs < nowMs)
    .map(
      ({ name, endsMs }) =>
        `BREAKWATER_TLS_CLIENT_CA: in ${tls.clientCaFile} the authority ${name} has ended on ${new Date(endsMs).toUTCString()}; certificates below it are refused`,
    )
}

function readNamed(config: Config): Omit<NodeFiles, 'tls' | 'developmentCa'> {
  const { redis, passwordFile, jwt, authHttp, aclFile, adminTokenFile } = config
  const keysFile = typeof jwt?.keys === 'string' ? jwt.keys : undefined
  const wrapKeyFile = redis?.ticketWrapKeyFile
  return {
    passwords: readGoodFile('BREAKWATER_PASSWORD_FILE', passwordFile, (text, path) =>
      PasswordFile.parse(text, path),
    ),
    tokenKeys: readGoodFile('BREAKWATER_JWT_KEYS', keysFile, parseJwks),
    tokenKeysCa: readGoodFile('BREAKWATER_JWT_CA', jwt?.caFile, parseAuthorityFile),
    authHttpToken: readGoodFile(
      'BREAKWATER_AUTH_HTTP_TOKEN_FILE',
      authHttp?.tokenFile,
      parseServiceToken,
    ),
    authHttpCa: readGoodFile('BREAKWATER_AUTH_HTTP_CA', authHttp?.caFile, parseAuthorityFile),
    rules: readGoodFile('BREAKWATER_ACL_FILE', aclFile, (text, path) =>
      AccessRules.parse(text, path),
    ),
    adminToken: readGoodFile('BREAKWATER_ADMIN_TOKEN_FILE', adminTokenFile, parseAdminToken),
    redis: redis === undefined ? undefined : redisSettings(redis),
    wrapKey: wrapKeyFile === undefined ? undefined : WrapKey.read(wrapKeyFile),
  }
}

function readTls(
  { listeners }: Config,
  tlsOf: (listener: ListenerConfig) => ListenerTls | undefined,
): ReadonlyMap<ListenerConfig, ServedTls> {
  const served = new Map<ListenerConfig, ServedTls>()
  for (const listener of listeners) {
    const tls = tlsOf(listener)
    if (tls === undefined) continue
    const files = readTlsFiles(tls)
    // A development certificate that is not made yet is the only thing that can be missing.
    if (tls.pairs.length === 0) makeCommonTls(tls, files)
    else served.set(listener, { tls, material: makeTlsMaterial(tls, files) })
  }
  return served
}
