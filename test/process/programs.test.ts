/** The programs behind `npm run`: what they take, before they do anything. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { programEnvironment } from '../kit/program-environment.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>
}
/** Those of this project that run for long or write files, by the file that takes the arguments. */
const programs = Object.entries(scripts).flatMap<[string, string]>(([name, line]) => {
  const [, driven, plain] = /^node (?:test\/program\.mjs (\S+)|(\S+))$/.exec(line) ?? []
  const file = driven === undefined ? plain : `test/${driven}`
  // These hand what they get to vitest and to `breakwater serve`.
  return file === undefined || ['test', 'verify', 'start'].includes(name) ? [] : [[name, file]]
})

interface End {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(file: string, ...args: readonly string[]): Promise<End> {
  const child = spawn(process.execPath, ['--conditions=source', `${root}/${file}`, ...args], {
    env: programEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

describe.concurrent('npm run', () => {
  it.each(programs)('%s -- --help prints the usage and does nothing else', async (name, file) => {
    const { code, stdout, stderr } = await run(file, '--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`npm run ${name}`)
    expect(stdout).toContain('--help')
  })

  it.each(['record-version', 'cluster', 'soak:mutations'])(
    '%s refuses an unknown option in one line',
    async (name) => {
      const [, file = ''] = programs.find(([known]) => known === name) ?? []
      const { code, stderr } = await run(file, '--nonsense')
      expect(code).toBe(1)
      expect(stderr).toMatch(/^(error|breakwater): .*--nonsense.*\n$/)
    },
  )

  it('record-version reports a missing commit, and keeps the recorded version', async () => {
    const kept = `${root}/test/versions/previous/version.json`
    const before = readFileSync(kept)
    const { code, stderr } = await run('test/versions/record.mjs')
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'breakwater: COMMIT is missing; use: npm run record-version -- COMMIT\n',
    })
    expect(readFileSync(kept)).toEqual(before)
  })
})
