/**
 * A stand-in for the Dockerfile's base image where no registry can be reached: this machine's Node and
 * npm, a shell and the few programs that the build calls, with the libraries that they link.
 */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { DockerEngine } from '../kit/docker-engine.ts'
import { findProgram } from '../kit/program.ts'

const run = promisify(execFile)

/** What the Dockerfile names by default. */
const published = 'node:24-bookworm-slim'
const standIn = 'breakwater-test/node:local'

const programs = ['sh', 'env', 'find', 'rm', 'mkdir', 'uname'] as const

/** glibc's own companions of libc: programs that a build downloads may link them. */
const companions = ['libresolv.so.2', 'librt.so.1', 'libutil.so.1', 'libnss_dns.so.2'] as const

/** Where Debian and Node look for the machine's certificate authorities. */
const authorities = '/etc/ssl/certs/ca-certificates.crt'

/** The published base image if the engine has or gets it, else a stand-in of this machine's programs. */
export async function baseImage({ network }: DockerEngine): Promise<string> {
  if (await succeeds('image', 'inspect', published)) return published
  // Without a bridge the engine was started for tests, on a machine that may have no registry.
  if (network === 'bridge' && (await succeeds('pull', published))) return published
  if (!(await succeeds('image', 'inspect', standIn))) await importStandIn()
  return standIn
}

async function succeeds(...args: readonly string[]): Promise<boolean> {
  try {
    await run('docker', args)
    return true
  } catch {
    return false
  }
}

async function importStandIn(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'breakwater-base-'))
  try {
    await fill(root)
    const settings = ['ENV PATH=/usr/local/bin:/usr/bin', 'CMD ["node"]']
    if (process.env['NODE_EXTRA_CA_CERTS'] !== undefined)
      settings.push(`ENV NODE_EXTRA_CA_CERTS=${authorities}`)
    const changes = settings.flatMap((setting) => ['--change', setting])
    await pipe(['tar', '-C', root, '-c', '.'], ['docker', 'import', ...changes, '-', standIn])
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function fill(root: string): Promise<void> {
  for (const folder of ['etc/ssl/certs', 'lib64', 'tmp', 'usr/bin', 'usr/lib', 'usr/local/bin'])
    await mkdir(join(root, folder), { recursive: true })
  await symlink('usr/bin', join(root, 'bin'))
  await symlink('usr/lib', join(root, 'lib'))
  await copyProgram(process.execPath, join(root, 'usr/local/bin/node'), root)
  for (const name of programs) {
    const path = findProgram(name)
    if (path === undefined) throw new Error(`no ${name} to make a base image with`)
    await copyProgram(await realpath(path), join(root, 'usr/bin', name), root)
  }
  await copyNpm(root)
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/tmp:/bin/sh\nnode:x:1000:1000::/tmp:\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnode:x:1000:\n')
  if (existsSync(authorities)) await cp(authorities, join(root, authorities), { dereference: true })
}

async function copyProgram(path: string, target: string, root: string): Promise<void> {
  await cp(path, target, { dereference: true })
  const { stdout } = await run('ldd', [path])
  for (const [library] of stdout.matchAll(/\/[^ )]+/g)) {
    await copyLibrary(library, root)
    if (!library.endsWith('/libc.so.6')) continue
    for (const companion of companions.map((name) => join(dirname(library), name)))
      if (existsSync(companion)) await copyLibrary(companion, root)
  }
}

async function copyLibrary(library: string, root: string): Promise<void> {
  const copy = join(root, library)
  await mkdir(dirname(copy), { recursive: true })
  await cp(library, copy, { dereference: true })
}

async function copyNpm(root: string): Promise<void> {
  const npm = findProgram('npm')
  if (npm === undefined) throw new Error('no npm to make a base image with')
  // …/npm/bin/npm-cli.js
  const folder = dirname(dirname(await realpath(npm)))
  await cp(folder, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  for (const name of ['npm', 'npx']) {
    const script = `../lib/node_modules/npm/bin/${name}-cli.js`
    await symlink(script, join(root, 'usr/local/bin', name))
  }
}

/** Runs `from | to`; both have to succeed. */
async function pipe(from: readonly string[], to: readonly string[]): Promise<void> {
  const [source = '', ...sourceArgs] = from
  const [sink = '', ...sinkArgs] = to
  const left = spawn(source, sourceArgs, { stdio: ['ignore', 'pipe', 'inherit'] })
  const right = spawn(sink, sinkArgs, { stdio: ['pipe', 'ignore', 'inherit'] })
  left.stdout.pipe(right.stdin)
  const codes = await Promise.all(
    [left, right].map(
      (child) =>
        new Promise<number | null>((settle, fail) => {
          child.once('error', fail)
          child.once('close', settle)
        }),
    ),
  )
  if (codes.some((code) => code !== 0)) throw new Error(`${source} | ${sink}: ${codes.join(', ')}`)
}
