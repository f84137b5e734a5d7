/** The code accepts the example files of documentation pages, and answers as the pages say. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '@breakwater/broker'
import { decideConfig, readSettings, type Config } from '@breakwater/config'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-examples-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The fenced blocks of a page in one language, in their order. */
function blocksOf(page: string, language: string): readonly string[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, block = '']) => block,
  )
}

function fileOf(text: string): string {
  const path = join(directory, 'example.yaml')
  writeFileSync(path, text)
  return path
}

/** What `breakwater acl explain` says first, with its exit code. */
async function explained(rules: string, question: string): Promise<string> {
  let said = ''
  const code = await runCommand(
    ['acl', 'explain', '--file', fileOf(rules), ...question.split(' ')],
    {
      environment: {},
      print: (text) => (said += text),
      complain: (text) => (said += text),
    },
  )
  return `${said.split(':', 1)[0]} ${code}`
}

const [devices = '', groups = ''] = blocksOf('docs/ACCESS.md', 'yaml')
const [system = ''] = blocksOf('docs/SYS.md', 'yaml')

test.each([
  [devices, '--client-id meter-7 --action publish --topic devices/meter-7/level', 'allowed 0'],
  [devices, '--client-id meter-7 --action publish --topic devices/meter-8/level', 'denied 1'],
  [devices, '--client-id meter-7 --action subscribe --topic devices/#', 'denied 1'],
  [devices, '--as ann --client-id meter-7 --action subscribe --topic devices/#', 'allowed 0'],
  [devices, '--as ops-1 --client-id x --action subscribe --topic devices/#', 'allowed 0'],
  // Something is denied before it is allowed.
  [devices, '--as ann --client-id x --action subscribe --topic #', 'denied 1'],
  [devices, '--as ann --client-id x --action subscribe --topic internal/a', 'denied 1'],
  [
    groups,
    '--as worker-1 --client-id x --action subscribe --topic $share/workers/jobs/#',
    'allowed 0',
  ],
  [groups, '--as ann --client-id x --action subscribe --topic $share/workers/jobs/#', 'denied 1'],
  [groups, '--as ann --client-id x --action subscribe --topic $share/others/jobs/#', 'allowed 0'],
  [groups, '--as ann --client-id x --action subscribe --topic jobs/#', 'allowed 0'],
  [system, '--as ops-1 --client-id x --action subscribe --topic $SYS/broker/uptime', 'allowed 0'],
  [system, '--as ann --client-id x --action subscribe --topic $SYS/broker/uptime', 'denied 1'],
  [system, '--as ops-1 --client-id x --action subscribe --topic #', 'denied 1'],
])(
  'acl explain, with the example rules of the docs, answers question %#, %j, with %s',
  async (rules, question, answer) => {
    // A page may show rules without what stands before them.
    const whole = /^(?:default|rules):/.test(rules) ? rules : `rules:\n${rules}`
    expect(await explained(whole, question)).toBe(answer)
  },
)

const decide = (environment: Record<string, string>, file?: string): Config =>
  decideConfig(readSettings(environment, file))

test('every configuration file in docs/CONFIG.md is valid', () => {
  const files = blocksOf('docs/CONFIG.md', 'yaml')
  expect(files.length).toBeGreaterThan(1)
  for (const text of files) expect(decide({}, fileOf(text)).listeners).not.toHaveLength(0)
})

test('every client id rule in docs/ACCESS.md is accepted by a listener', () => {
  const rules = blocksOf('docs/ACCESS.md', 'sh').flatMap((block) =>
    [...block.matchAll(/^BREAKWATER_CLIENT_ID='([^']+)'/gm)].map(([, rule = '']) => rule),
  )
  expect(rules.length).toBeGreaterThan(2)
  for (const rule of rules) {
    const { listeners } = decide({
      BREAKWATER_JWT_KEYS: 'keys.json',
      BREAKWATER_CLIENT_ID: rule,
    })
    expect(listeners[0]?.clientId?.text).toBe(rule)
  }
})

test('a node accepts the variables that the README of the chart sets', () => {
  const [example = ''] = blocksOf('helm/breakwater/README.md', 'yaml')
  const { extraEnv } = parse(example) as {
    readonly extraEnv: readonly { readonly name: string; readonly value: string }[]
  }
  const set = Object.fromEntries(extraEnv.map(({ name, value }) => [name, value]))
  expect(decide(set).limits).toMatchObject({ connectionsPerUserMax: 20_000 })
})

test('a node accepts the limits that docs/SCALING.md sets for a fleet with one user name', () => {
  const page = readFileSync(new URL('../../docs/SCALING.md', import.meta.url), 'utf8')
  const set = Object.fromEntries(
    [...page.matchAll(/`(BREAKWATER_LIMIT_[A-Z_]+)=(\d+)`/g)].map(([, name, value]) => [
      name,
      value,
    ]),
  ) as Record<string, string>
  expect(Object.keys(set)).toHaveLength(3)
  expect(decide(set).limits).toMatchObject({ sessionsPerUserMax: 30_000 })
})
