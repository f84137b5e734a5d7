/** The commands besides `serve`, and how `serve` uses the files that they make. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { text } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import { runCommand, setPassword } from '@breakwater/broker'
import { afterAll, describe, expect, it } from 'vitest'
import { programEnvironment } from '../kit/program-environment.ts'
import { startRedisProxy } from '../kit/redis/redis-proxy.ts'
import { MAIN, spawnNode } from '../kit/node.ts'
import { findProgram, skipWithout } from '../kit/program.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import { breakwater, expectOneLine, type CommandEnd, type CommandOptions } from './command.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-command-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function run(
  args: readonly string[],
  options: Omit<CommandOptions, 'directory'> = {},
): Promise<CommandEnd> {
  return breakwater(args, { directory, ...options })
}

/** Of a command that reads no input and changes nothing of this process. */
async function inProcess(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandEnd> {
  let stdout = ''
  let stderr = ''
  const code = await runCommand(args, {
    environment,
    print: (words) => void (stdout += words),
    complain: (words) => void (stderr += words),
  })
  return { code, stdout, stderr }
}

let lastName = 0
const path = (start: string): string => join(directory, `${start}-${(lastName += 1)}`)
const modeOf = (file: string): number => statSync(file).mode & 0o777

it('the version command prints the version and nothing else', async () => {
  const { code, stdout, stderr } = await run(['version'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

it.each([
  [['bogus'], /^error: unknown command 'bogus'; see 'breakwater --help'$/m],
  [['sreve'], /^error: unknown command 'sreve'; did you mean 'serve'\?$/m],
  [['chek-config'], /did you mean 'check-config'\?$/m],
  [['acl', 'explian'], /did you mean explain\?$/m],
  [['--confg', 'x'], /^error: unknown option '--confg'; did you mean --config\?$/m],
  [['serve', 'more'], /^error: too many arguments/],
  [['passwd'], /^error: missing required argument 'file'/],
])('the command line %j is refused in one line', async (words, line) => {
  expectOneLine(await inProcess(words), line)
})

it('one line names a Node.js version that is too old and the version that is needed', async () => {
  for (const [name, main] of [
    ['breakwater', MAIN],
    ['fleet', MAIN.replace('broker', 'simulator')],
  ] as const) {
    // What this Node says of itself is the only thing that differs: the file holds no syntax of today.
    const old = `Object.defineProperty(process, 'versions', { value: { node: '20.11.1' } })`
    const child = spawn(process.execPath, ['--import', `data:text/javascript,${old}`, main])
    const [stderr, [code]] = await Promise.all([
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ])
    expectOneLine(
      { code, stdout: '', stderr },
      new RegExp(`^${name}: needs Node 24 or later, this is Node 20.11.1; `),
    )
    const source = readFileSync(main, 'utf8').replaceAll(/\/\*[^]*?\*\//g, '')
    expect(source).not.toMatch(/^import|\bawait\b|\?\.|\?\?|#\w+\b(?!!)|\busing\b/m)
  }
})

describe('acl explain', () => {
  const rules = path('rules')
  writeFileSync(rules, "rules:\n  - { allow: [publish], topics: ['a/${clientid}'] }\n")
  const explain = (topic: string, ...more: string[]): Promise<CommandEnd> =>
    inProcess(['acl', 'explain', '--topic', topic, '--client-id', 'c', '--file', rules, ...more])

  it('exits with 0 for an allowed request, with 1 for a denied request', async () => {
    const allowed = await explain('a/c', '--action', 'publish')
    expect(allowed).toMatchObject({ code: 0, stderr: '' })
    expect(allowed.stdout).toMatch(/^allowed: publish to a\/c\n/)
    const denied = await explain('a/d', '--action', 'publish')
    expect(denied).toMatchObject({ code: 1, stderr: '' })
    expect(denied.stdout).toMatch(/^denied: publish to a\/d\n/)
  })

  it('exits with 2 for an invalid question', async () => {
    for (const end of [
      await explain('a/c', '--action', 'read'),
      await explain('a/c'),
      await explain('a/#/c', '--action', 'publish'),
      await explain('a/c', '--action', 'publish', '--file', path('nowhere')),
    ])
      expect(end).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('--config', () => {
  it('reads a YAML file; a variable overrides the file', async () => {
    const file = path('node.yaml')
    writeFileSync(file, 'listen: [mqtt://127.0.0.1:0]\nlogLevel: loud\n')
    expectOneLine(
      await inProcess(['--config', file, 'check-config']),
      /^breakwater: logLevel in .*node\.yaml-\d+: must be one of/,
    )
    const environment = { BREAKWATER_LOG_LEVEL: 'info', BREAKWATER_DEV_DIR: path('dev') }
    expect(await inProcess(['--config', file, 'check-config'], environment)).toMatchObject({
      code: 0,
    })
  })

  it('refuses a missing file', async () => {
    expectOneLine(
      await inProcess(['--config', path('nowhere.yaml')]),
      /^breakwater: --config .*ENOENT/,
    )
  })
})

describe('dev-certs', () => {
  it('makes a CA and a certificate that a node can use; a second run keeps both', async () => {
    const folder = join(path('certs'), 'deep')
    const first = await run(['dev-certs', folder])
    const names = ['ca.crt', 'server.crt', 'server.key'].map((name) => join(folder, name))
    expect(first).toEqual({ code: 0, stdout: `${names.join('\n')}\n`, stderr: '' })
    const before = names.map((name) => readFileSync(name, 'utf8'))
    expect(modeOf(join(folder, 'server.key'))).toBe(0o600)
    expect(modeOf(join(folder, 'ca.key'))).toBe(0o600)
    expect(await run(['dev-certs', folder])).toEqual(first)
    expect(names.map((name) => readFileSync(name, 'utf8'))).toEqual(before)

    await using node = await spawnNode({
      listen: ['mqtts://127.0.0.1:0'],
      environment: {
        BREAKWATER_TLS_CERT: join(folder, 'server.crt'),
        BREAKWATER_TLS_KEY: join(folder, 'server.key'),
      },
    })
    const tls = { ca: before[0] ?? '', servername: 'localhost' }
    await using client = await WireClient.open({ host: node.host, port: node.tlsPort, tls })
    expect(await client.connect()).toMatchObject({ returnCode: 0 })
  })

  it('replaces a damaged server certificate, signed by the existing CA', async () => {
    const folder = path('certs')
    await run(['dev-certs', folder])
    const ca = readFileSync(join(folder, 'ca.crt'))
    writeFileSync(join(folder, 'server.crt'), 'damaged')
    expect(await run(['dev-certs', folder])).toMatchObject({ code: 0 })
    expect(readFileSync(join(folder, 'ca.crt'))).toEqual(ca)
    const made = new X509Certificate(readFileSync(join(folder, 'server.crt')))
    expect(made.verify(new X509Certificate(ca).publicKey)).toBe(true)
  })

  it('reports in one line a folder that it cannot write to', async () => {
    const file = path('file')
    writeFileSync(file, '')
    expectOneLine(await run(['dev-certs', file]), /^breakwater: EEXIST/)
  })
})

describe('a node without a configured certificate', () => {
  it('makes a development CA at its first start and uses it again at the second', async () => {
    const devDir = path('dev')
    mkdirSync(devDir)
    const environment = { BREAKWATER_DEV_DIR: devDir }
    const fingerprints: string[] = []
    for (let start = 0; start < 2; start++) {
      await using node = await spawnNode({ environment })
      const said = await node.logged(({ ca }) => ca !== undefined)
      expect(said['ca']).toBe(join(devDir, 'ca.crt'))
      const ca = readFileSync(join(devDir, 'ca.crt'))
      const tls = { ca, servername: 'localhost' }
      await using client = await WireClient.open({ host: node.host, port: node.tlsPort, tls })
      expect(await client.connect()).toMatchObject({ returnCode: 0 })
      fingerprints.push(new X509Certificate(ca).fingerprint256)
    }
    expect(fingerprints[1]).toBe(fingerprints[0])
  })
})

it('a node shows its Redis password nowhere, also when Redis is lost', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using redis = await startRedis({ args: ['--requirepass', 'sesame'] })
  await using proxy = await startRedisProxy(redis.url)
  await using node = await spawnNode({
    redisUrl: proxy.url.replace('redis://', 'redis://:sesame@'),
    users: { keeper: 'lantern' },
    environment: { BREAKWATER_LOG_LEVEL: 'trace' },
  })
  await using client = await WireClient.open(node)
  expect(await client.connect({ username: 'keeper', password: 'lantern' })).toMatchObject({
    returnCode: 0,
  })
  await proxy.refuse()
  await node.logged(({ msg }) => msg === 'Redis connection failed; retrying')
  await proxy.restore()
  await node.logged(({ msg }) => msg === 'Redis works again')
  const page = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
  await node.kill('SIGTERM')
  const said = `${JSON.stringify(node.logs())}${page}`
  for (const secret of ['sesame', 'lantern']) expect(said).not.toContain(secret)
})

describe('passwd', () => {
  const passwd = (file: string, user: string, password: string): Promise<CommandEnd> =>
    run(['passwd', file, user], { input: password })

  it('makes a file that only its owner can read and that a node accepts; replaces a user', async () => {
    const file = path('passwords')
    expect(await passwd(file, 'keeper', 'first\n')).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(modeOf(file)).toBe(0o600)
    await passwd(file, 'pilot', 'of: the "light" ⚓')
    await passwd(file, 'keeper', 'second')
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => line.split(':')[0])).toEqual(['pilot', 'keeper'])
    expect(readFileSync(file, 'utf8')).not.toMatch(/first|second|light/)
    expect(modeOf(file)).toBe(0o600)

    await using node = await spawnNode({
      allowAnonymous: false,
      environment: { BREAKWATER_PASSWORD_FILE: file },
    })
    for (const [username, password, returnCode] of [
      ['pilot', 'of: the "light" ⚓', 0],
      ['keeper', 'second', 0],
      ['keeper', 'first', 4],
      ['nobody', 'second', 4],
    ] as const) {
      await using client = await WireClient.open(node)
      expect(await client.connect({ username, password })).toMatchObject({ returnCode })
    }
    await using anonymous = await WireClient.open(node)
    expect(await anonymous.connect()).toMatchObject({ returnCode: 5 })
    const said = JSON.stringify(node.logs())
    for (const secret of ['first', 'second', 'light']) expect(said).not.toContain(secret)
  })

  it('refuses an empty password and makes no file', async () => {
    const file = path('passwords')
    expectOneLine(await passwd(file, 'keeper', '\n'), /^breakwater: passwd: no password .*; try: /)
    expect(() => statSync(file)).toThrow('ENOENT')
  })

  it('refuses a user name with a colon and makes no file', async () => {
    const file = path('passwords')
    expectOneLine(await passwd(file, 'a:b', 'x'), /^breakwater: passwd: the user name "a:b" must/)
    expect(() => statSync(file)).toThrow('ENOENT')
  })

  it('leaves a file with an invalid line unchanged', async () => {
    const file = path('passwords')
    writeFileSync(file, 'keeper\n')
    expectOneLine(await passwd(file, 'pilot', 'x'), /PASSWORD_FILE: .* line 1 /)
    expect(readFileSync(file, 'utf8')).toBe('keeper\n')
  })

  it('reports in one line a folder that it cannot write to', async () => {
    const file = join(path('nowhere'), 'passwords')
    expectOneLine(await passwd(file, 'keeper', 'x'), /^breakwater: ENOENT: .*nowhere/)
  })

  it('asks twice on a terminal and does not show the typed password', async (context) => {
    const [script] = skipWithout(context, 'script')
    const file = path('passwords')
    const asked = (answers: readonly string[]) => typeInto(script, file, answers)
    expect(await asked(['sesame\r', 'simsim\r'])).toMatch(/the two are not the same; nothing was/)
    expect(() => statSync(file)).toThrow('ENOENT')
    expect(await asked(['ses\u0003'])).toMatch(/interrupted; nothing was changed/)
    const said = await asked(['sesamX\u007fe\r', 'xyz\u0015sesame\r'])
    expect(said).toMatch(/^Password of keeper: \r?\nThe same again: \r?\n$/)
    await using node = await spawnNode({
      allowAnonymous: false,
      environment: { BREAKWATER_PASSWORD_FILE: file },
    })
    await using client = await WireClient.open(node)
    expect(await client.connect({ username: 'keeper', password: 'sesame' })).toMatchObject({
      returnCode: 0,
    })
  })

  it('deletes a user, and reports an unknown user', async () => {
    const file = path('passwords')
    writeFileSync(
      file,
      `# ours\n${await setPassword('', 'keeper', 'x')}${await setPassword('', 'pilot', 'y')}`,
    )
    expect(await run(['passwd', file, 'keeper', '--delete'])).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(file, 'utf8')).toMatch(/^# ours\npilot:[^\n]+\n$/)
    expectOneLine(
      await run(['passwd', '--delete', file, 'keeper']),
      /^breakwater: passwd: user not found: "keeper" in .*; nothing was changed$/m,
    )
    expect(modeOf(file)).toBe(0o600)
  })

  it('replaces the file atomically, also behind a symbolic link, and refuses to run beside another passwd', async () => {
    const file = path('passwords')
    const link = path('link')
    writeFileSync(file, '# ours\n')
    symlinkSync(file, link)
    const before = openSync(file, 'r')
    await passwd(link, 'keeper', 'x')
    expect(readFileSync(file, 'utf8')).toMatch(/^# ours\nkeeper:/)
    // A reader that has it open still reads what it was.
    expect(readFileSync(before, 'utf8')).toBe('# ours\n')
    closeSync(before)
    writeFileSync(`${file}.new`, '')
    expectOneLine(await passwd(file, 'pilot', 'x'), /\.new is there: another passwd is at work/)
    expect(readFileSync(file, 'utf8')).not.toContain('pilot')
  })
})

/** What a terminal shows while each question that ends with a colon is answered. */
async function typeInto(script: string, file: string, answers: readonly string[]): Promise<string> {
  const command = [process.execPath, '--conditions=source', MAIN, 'passwd', file, 'keeper']
  const child = spawn(script, ['-qec', command.join(' '), '/dev/null'], {
    env: { ...programEnvironment(), SHELL: '/bin/sh' },
  })
  const left = [...answers]
  let shown = ''
  let asked = 0
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
    const questions = shown.split(': ').length - 1
    if (questions > asked && left.length > 0) {
      asked = questions
      child.stdin.write(left.shift() ?? '')
    }
  })
  await once(child, 'close')
  return shown
}
