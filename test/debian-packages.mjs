// Installs Debian packages without starting the services that come with them.
//   node test/debian-packages.mjs redis-server promtool:prometheus
// installs the package of each program that is missing (`program:package` where the names differ).
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { capture } from '../deploy/local/command.mjs'

const policyFile = '/usr/sbin/policy-rc.d'
const aptOptions = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3']

/** Whether packages can be installed here: root, on Debian or a child of it. */
export function canInstall() {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && hasProgram('apt-get')
}

function hasProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin']
  return folders.some((folder) => folder !== '' && existsSync(join(folder, name)))
}

/** Resolves to one line per package that could not be installed. */
export async function installPackages(names) {
  // The maintainer scripts ask this file whether a service may start; 101 is no.
  const ownPolicy = !existsSync(policyFile)
  if (ownPolicy) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await apt(['update', ...aptOptions])
    if ((await install(names)).code === 0) return []
    // One package that is not to be had must not cost the others.
    const failed = await installEach(names, [])
    if (failed.size === 0) return []
    const left = await withBackports((options) => installEach([...failed.keys()], options))
    return [...(left ?? failed)].map(([name, why]) => `${name}: ${why}`)
  } finally {
    if (ownPolicy) rmSync(policyFile, { force: true })
  }
}

/** Resolves to why, by the name of what could not be installed. */
async function installEach(names, options) {
  const failed = new Map()
  for (const name of names) {
    const { code, output } = await install([name], options)
    const said = output.split('\n').find((line) => line.startsWith('E:')) ?? 'apt-get failed'
    if (code !== 0) failed.set(name, said)
  }
  return failed
}

/** Debian's newer packages for a release, for what the release has not: nothing else is taken from there. */
async function withBackports(use) {
  const format = '$(SITE) $(CODENAME)'
  const { output } = await apt(['indextargets', '--format', format, 'Created-By: Packages'])
  const release = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  const found = output.split('\n').map((line) => line.split(' '))
  const [site] = found.find(([, codename]) => codename === release) ?? []
  if (site === undefined) return undefined
  const directory = mkdtempSync(join(tmpdir(), 'breakwater-apt-'))
  try {
    const list = join(directory, 'sources.list')
    const own = '/etc/apt/sources.list'
    const before = existsSync(own) ? readFileSync(own, 'utf8') : ''
    writeFileSync(list, `${before}\ndeb ${site} ${release}-backports main\n`)
    const options = ['-o', `Dir::Etc::SourceList=${list}`]
    if ((await apt(['update', ...aptOptions, ...options])).code !== 0) return undefined
    return await use(options)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function install(names, options = []) {
  return apt(['install', ...aptOptions, ...options, '--no-install-recommends', ...names])
}

function apt(args) {
  return capture('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2).map((word) => word.split(':'))
  const missing = wanted.filter(([program]) => !hasProgram(program))
  const packages = [...new Set(missing.map(([program, name = program]) => name))]
  if (packages.length > 0 && canInstall()) {
    console.log(`installing ${packages.join(', ')}`)
    for (const failure of await installPackages(packages)) console.log(`not installed: ${failure}`)
  } else if (packages.length > 0) {
    console.log(
      `not installed: ${packages.join(', ')} (only root on Debian or Ubuntu can do it here)`,
    )
  }
}
