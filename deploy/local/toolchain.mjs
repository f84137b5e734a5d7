// What a fresh checkout needs before anything can run: the workspace's packages, the Node that the
// project is pinned to, and the compiled packages. Only git, Node >= 20 and npm are assumed, so this
// file is plain JavaScript without dependencies. It says nothing while there is nothing to do.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { capture } from './command.mjs'

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

const pnpm = 'pnpm@12.21.0'
// Older Nodes accept TLS tickets that they should not.
const nodeWanted = { major: 24, minor: 21 }
const binaries = join(root, 'node_modules', '.bin')
const stampFile = join(root, 'node_modules', '.breakwater-install.json')
const logFile = join(root, '.dev', 'install.log')

/** A reason to stop that is the user's to mend: one line, no stack. */
export class SetupError extends Error {
  constructor(message, details = '') {
    super(message)
    this.details = details
  }
}

/** Runs a command's body and turns a SetupError into one line and exit code 1. */
export async function main(body) {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    if (error.details !== '') console.error(error.details.trimEnd())
    console.error(`breakwater: ${error.message}`)
    process.exitCode = 1
  }
}

/**
 * Installs what is missing and builds the packages named in `build` with their references.
 * Returns the Node to run everything with, and an environment whose PATH finds it first.
 */
export async function prepare({ build = [] } = {}) {
  if (Number.parseInt(process.versions.node, 10) < 20) {
    throw new SetupError(`Node >= 20 is needed to begin with, this is ${process.version}`)
  }
  const node = await installed()
  const path = [binaries, dirname(node), process.env.PATH ?? ''].join(delimiter)
  const env = { ...process.env, PATH: path }
  if (build.length > 0) await compile(build, env)
  return { node, env }
}

/** The path of a program that came with the install: tsc, vitest, oxlint and the like. */
export function binary(name) {
  return join(binaries, name)
}

async function installed() {
  const digest = manifestDigest()
  const stamp = readStamp()
  if (stamp?.digest === digest && existsSync(stamp.node) && existsSync(binary('tsc'))) {
    return stamp.node
  }
  console.log('breakwater: installing the workspace (the first time takes about a minute)')
  await install()
  const node = await chooseNode()
  writeFileSync(stampFile, `${JSON.stringify({ digest, node })}\n`)
  return node
}

function manifestDigest() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${root} ${pnpm}\n`)
  const members = readdirSync(join(root, 'packages')).sort()
  const files = [
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    '.npmrc',
    'package.json',
    'test/package.json',
    ...members.map((member) => `packages/${member}/package.json`),
  ]
  for (const file of files.filter((name) => existsSync(join(root, name)))) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  return hash.digest('hex')
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'))
  } catch {
    // Missing or cut short: either way the install runs again.
    return undefined
  }
}

async function install() {
  const { NODE_ENV: _production, ...env } = process.env
  const result = await capture(
    'npx',
    [
      '--yes',
      pnpm,
      'install',
      '--frozen-lockfile',
      // The lock file was checked when it was made; asking again costs 90 MB of metadata.
      '--config.minimumReleaseAge=0',
    ],
    {
      cwd: root,
      // CI=true keeps pnpm from asking questions that nobody sees.
      env: { ...env, CI: 'true' },
    },
  )
  if (result.missing) throw new SetupError('npm is missing: install it beside Node.js')
  if (result.code === 0) return
  mkdirSync(join(root, '.dev'), { recursive: true })
  writeFileSync(logFile, result.output)
  throw new SetupError(`the install failed: ${installFailure(result.output)}`)
}

function installFailure(output) {
  const log = `full output in ${relative(process.cwd(), logFile)}`
  const network =
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/.exec(
      output,
    )?.[1] ?? (/ERR_PNPM_META_FETCH_FAIL|fetch failed/.test(output) ? 'fetch failed' : undefined)
  if (network !== undefined) {
    return `the package registry cannot be reached (${network}): check network and proxy; ${log}`
  }
  if (output.includes('ERR_PNPM_OUTDATED_LOCKFILE')) {
    return `pnpm-lock.yaml does not match the package manifests: run npx ${pnpm} install`
  }
  const lines = output.split('\n').map((line) => line.trim())
  const said = lines.find((line) => /ERR_PNPM|npm error|^error/i.test(line)) ?? lines.at(-1)
  return `${said || 'no reason given'}; ${log}`
}

async function chooseNode() {
  const candidates = [binary('node'), process.execPath]
  for (const candidate of candidates) {
    const { code, output } = await capture(candidate, ['--version'], { cwd: root })
    const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(output) ?? []
    if (code !== 0 || major === undefined) continue
    if (Number(major) > nodeWanted.major) return candidate
    if (Number(major) === nodeWanted.major && Number(minor) >= nodeWanted.minor) return candidate
  }
  const wanted = `${nodeWanted.major}.${nodeWanted.minor}`
  throw new SetupError(
    `Node >= ${wanted} did not come with the install (are install scripts switched off?) ` +
      `and this machine has ${process.version}: install Node ${wanted} and run this again`,
  )
}

async function compile(targets, env) {
  const result = await capture(binary('tsc'), ['-b', ...targets], { cwd: root, env })
  const outputs = targets.map((target) => join(root, target, 'dist'))
  if (result.code === 0 && outputs.every((output) => existsSync(output))) return
  // tsc trusts its own record, also when somebody has removed what it once wrote.
  const again =
    result.code === 0
      ? await capture(binary('tsc'), ['-b', '--force', ...targets], { cwd: root, env })
      : result
  if (again.code !== 0) throw new SetupError('the build failed, see above', again.output)
}
