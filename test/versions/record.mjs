// `npm run record-version -- COMMIT` keeps the broker of a commit as one small file, with all that it depends on, so that this version can be run beside it. The commit is installed in a temporary folder, as it
// says itself.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { readArguments } from '../../deploy/local/arguments.mjs'
import { main, prepare, root, SetupError } from '../../deploy/local/toolchain.mjs'

/** Prints the settings that it knows, as JSON. */
const KNOWN = `const c = await import('@breakwater/config')
console.log(JSON.stringify([...Object.values(c.SETTINGS), ...c.limitNames.map(c.limitVariable)]))`

const folder = new URL('./previous/', import.meta.url)
/** What it asks for when it runs is asked for here. */
const REQUIRE = /createRequire\(import\.meta\.url\)\(\s*('[^']+'),?\s*\)/g

const USAGE = `npm run record-version -- COMMIT
  keeps the broker of this commit (a hash, a tag or HEAD) in test/versions/previous,
  in the place of the version that is there
  --help`

await main(async () => {
  const given = readArguments(USAGE, ['COMMIT'])
  if (given === undefined) return
  const [wanted] = given
  const { node } = await prepare()
  const git = (...args) => execFileSync('git', args, { cwd: root, maxBuffer: 2 ** 28 })
  const commit = hashOf(git, wanted)
  const directory = mkdtempSync(join(tmpdir(), 'breakwater-version-'))
  try {
    execFileSync('tar', ['-x', '-C', directory], { input: git('archive', commit) })
    const toolchain = pathToFileURL(join(directory, 'deploy/local/toolchain.mjs')).href
    const install = `(await import(${JSON.stringify(toolchain)})).prepare()`
    execFileSync(node, ['--input-type=module', '-e', install], { stdio: 'inherit' })
    const code = await bundle(join(directory, 'packages/broker/src/main.ts'))
    writeFileSync(new URL('main.mjs.gz', folder), gzipSync(code, { level: 9 }))
    const asks = ['--conditions=source', '--input-type=module', '-e', KNOWN]
    const variables = JSON.parse(execFileSync(node, asks, { cwd: join(directory, 'test') }))
    const made = 'npm run record-version'
    const version = JSON.parse(git('show', `${commit}:packages/broker/package.json`)).version
    writeFileSync(
      new URL('version.json', folder),
      `${JSON.stringify({ version, commit, made, variables }, undefined, 2)}\n`,
    )
    console.log(`recorded ${commit}: ${code.length} characters`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

function hashOf(git, name) {
  try {
    return git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)
      .toString()
      .trim()
  } catch {
    throw new SetupError(`there is no commit "${name}" in this repository`)
  }
}

async function bundle(input) {
  const built = await rolldown({
    input,
    platform: 'node',
    resolve: { conditionNames: ['source', 'node', 'import', 'require', 'default'] },
    plugins: [
      {
        name: 'require',
        transform: (code, id) =>
          id.endsWith('.ts') ? { code: code.replace(REQUIRE, 'require($1)') } : null,
      },
    ],
  })
  const { output } = await built.generate({ format: 'esm', minify: true, codeSplitting: false })
  await built.close()
  return output[0].code
}
