/**
 * Development certificates in a directory: `ca.crt`, `ca.key`, `server.crt`, `server.key`. Made on the first
 * start, reused by later ones while the server's certificate is valid for another day.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { ConfigError, type Config, type ListenerConfig, type ListenerTls } from '@breakwater/config'
import { Authority, type CertificatePair } from './authority.ts'

export interface DevelopmentCertificates {
  readonly caPath: string
  readonly certFile: string
  readonly keyFile: string
}

const DAY_MS = 86_400_000

/**
 * @throws {Error} the directory cannot be written
 * @throws {ConfigError} what is there already is no CA
 */
export async function ensureDevelopmentCertificates(
  directory: string,
): Promise<DevelopmentCertificates> {
  mkdirSync(directory, { recursive: true })
  const caPath = join(directory, 'ca.crt')
  const caKeyPath = join(directory, 'ca.key')
  const certFile = join(directory, 'server.crt')
  const keyFile = join(directory, 'server.key')

  const authority =
    existsSync(caPath) && existsSync(caKeyPath)
      ? await readAuthority(caPath, caKeyPath)
      : await createAuthority(caPath, caKeyPath)
  if (!isUsable(certFile, keyFile, authority.pair.cert)) {
    const pair = await authority.issue({
      commonName: 'breakwater development',
      usage: 'server',
      alternativeNames: ownNames(),
    })
    writePair(certFile, keyFile, pair)
  }
  return { caPath, certFile, keyFile }
}

/**
 * TLS of each listener, with a development certificate where none is configured.
 *
 * @throws {ConfigError} it cannot be made
 */
export async function pairTls({
  listeners,
  devDir,
}: Pick<Config, 'listeners' | 'devDir'>): Promise<{
  readonly tlsOf: (listener: ListenerConfig) => ListenerTls | undefined
  readonly developmentCa: string | undefined
}> {
  if (!listeners.some(({ tls }) => tls?.pairs.length === 0))
    return { tlsOf: ({ tls }) => tls, developmentCa: undefined }
  try {
    const { caPath, certFile, keyFile } = await ensureDevelopmentCertificates(devDir)
    const made = [{ certFile, keyFile }]
    return {
      tlsOf: ({ tls }) => (tls?.pairs.length === 0 ? { ...tls, pairs: made } : tls),
      developmentCa: caPath,
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(
      `BREAKWATER_TLS_CERT: is not set, and no development certificate can be made in ${devDir} (${(error as Error).message})`,
      { cause: error },
    )
  }
}

async function readAuthority(caPath: string, caKeyPath: string): Promise<Authority> {
  try {
    return await Authority.from(readPair(caPath, caKeyPath))
  } catch (cause) {
    throw new ConfigError(
      `${caPath}: is not a development CA with its key in ${caKeyPath}; remove both to make new ones`,
      { cause },
    )
  }
}

async function createAuthority(caPath: string, caKeyPath: string): Promise<Authority> {
  const authority = await Authority.create('Breakwater development CA')
  writePair(caPath, caKeyPath, authority.pair)
  return authority
}

function readPair(certFile: string, keyFile: string): CertificatePair {
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

function writePair(certFile: string, keyFile: string, pair: CertificatePair): void {
  writeFileSync(certFile, pair.cert)
  writeFileSync(keyFile, pair.key, { mode: 0o600 })
}

/** Anything that is not is made again: the certificate of a day that is over, half of a pair. */
function isUsable(certFile: string, keyFile: string, ca: string): boolean {
  if (!existsSync(certFile) || !existsSync(keyFile)) return false
  try {
    const certificate = new X509Certificate(readFileSync(certFile))
    return (
      certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) &&
      certificate.verify(new X509Certificate(ca).publicKey) &&
      new Date(certificate.validTo).getTime() > Date.now() + DAY_MS
    )
  } catch {
    return false
  }
}

/** Every name and address under which a client on this machine or its network may connect. */
function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => address.replace(/%.*$/, ''))
  return [...new Set(['localhost', hostname(), '127.0.0.1', '::1', ...addresses])]
}
