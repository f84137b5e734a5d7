/**
 * Development certificates in a directory: `ca.crt`, `ca.key`, `server.crt`, `server.key`. Made on the first
 * start, reused by later ones while the server's certificate is valid for another day.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError, type Config, type ListenerConfig, type ListenerTls } from '@breakwater/config'
import { Authority, type CertificatePair } from './authority.ts'

export interface DevelopmentCertificates {
  readonly caPath: string
  readonly certFile: string
  readonly keyFile: string
}

const DAY_MS = 86_400_000

/** Whoever makes certificates there is not waited for any longer: it has died. */
const LOCK_STALE_MS = 30_000
const LOCK_POLL_MS = 20

/**
 * Several nodes may start at the same time in one directory: one makes what is missing, the others wait.
 *
 * @throws {Error} the directory cannot be written
 * @throws {ConfigError} what is there already is no CA
 */
export async function ensureDevelopmentCertificates(
  directory: string,
): Promise<DevelopmentCertificates> {
  mkdirSync(directory, { recursive: true })
  const files = filesIn(directory)
  if (!isComplete(files)) await alone(join(directory, 'lock'), () => complete(files))
  const { caPath, certFile, keyFile } = files
  return { caPath, certFile, keyFile }
}

interface Files extends DevelopmentCertificates {
  readonly caKeyPath: string
}

function filesIn(directory: string): Files {
  return {
    caPath: join(directory, 'ca.crt'),
    caKeyPath: join(directory, 'ca.key'),
    certFile: join(directory, 'server.crt'),
    keyFile: join(directory, 'server.key'),
  }
}

function hasAuthority({ caPath, caKeyPath }: Files): boolean {
  return existsSync(caPath) && existsSync(caKeyPath)
}

function isComplete(files: Files): boolean {
  const { caPath, certFile, keyFile } = files
  return hasAuthority(files) && isUsable(certFile, keyFile, readFileSync(caPath, 'utf8'))
}

async function complete(files: Files): Promise<void> {
  const { caPath, caKeyPath, certFile, keyFile } = files
  const authority = hasAuthority(files)
    ? await readAuthority(caPath, caKeyPath)
    : await createAuthority(caPath, caKeyPath)
  if (isUsable(certFile, keyFile, authority.pair.cert)) return
  const pair = await authority.issue({
    commonName: 'breakwater development',
    usage: 'server',
    alternativeNames: ownNames(),
  })
  writePair(certFile, keyFile, pair)
}

/** One at a time, among all processes. `lock`: a directory, which is there meanwhile. */
async function alone(lock: string, work: () => Promise<void>): Promise<void> {
  while (!takes(lock)) await delay(LOCK_POLL_MS)
  try {
    await work()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

function takes(lock: string): boolean {
  try {
    mkdirSync(lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Infinity
    if (Date.now() - since > LOCK_STALE_MS) rmSync(lock, { recursive: true, force: true })
    return false
  }
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
    throw asConfigError(error, devDir)
  }
}

/**
 * Whether `pairTls` would do it, without making anything.
 *
 * @throws {ConfigError} the line with which it would end
 */
export async function checkDevelopmentCertificates({
  listeners,
  devDir,
}: Pick<Config, 'listeners' | 'devDir'>): Promise<void> {
  if (!listeners.some(({ tls }) => tls?.pairs.length === 0)) return
  try {
    const files = filesIn(devDir)
    if (isComplete(files)) return
    checkWritable(devDir)
    if (hasAuthority(files)) await readAuthority(files.caPath, files.caKeyPath)
  } catch (error) {
    throw asConfigError(error, devDir)
  }
}

/** @throws what `mkdirSync` or a write would say */
function checkWritable(directory: string): void {
  let nearest = resolve(directory)
  while (statSync(nearest, { throwIfNoEntry: false }) === undefined) nearest = dirname(nearest)
  if (!statSync(nearest).isDirectory())
    throw Object.assign(new Error(`${nearest} is a file`), {
      code: nearest === resolve(directory) ? 'EEXIST' : 'ENOTDIR',
    })
  accessSync(nearest, constants.W_OK | constants.X_OK)
}

function asConfigError(error: unknown, devDir: string): ConfigError {
  if (error instanceof ConfigError) return error
  const { code, message } = error as Error & { readonly code?: string }
  return new ConfigError(
    `BREAKWATER_TLS_CERT: is not set, and no development certificate can be made in ${devDir} (${code ?? message}); name a certificate, or another directory with BREAKWATER_DEV_DIR`,
    { cause: error },
  )
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
