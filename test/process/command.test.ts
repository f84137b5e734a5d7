/** The commands beside `serve`, and what `serve` makes of what they made. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { startRedisProxy } from '../kit/redis-proxy.ts'
import { spawnNode } from '../kit/node.ts'
import { findProgram } from '../kit/program.ts'
import { startRedis } from '../kit/redis.ts'
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

let lastName = 0
const path = (start: string): string => join(directory, `${start}-${(lastName += 1)}`)
const modeOf = (file: string): number => statSync(file).mode & 0o777

it('version prints the version and nothing else', async () => {
  const { code, stdout, stderr } = await run(['version'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

it.each([['bogus'], ['passwd']])('the command line "%s" is refused in one line', async (word) => {
  expectOneLine(await run([word]), /^error: /)
})

describe.concurrent('check-config', () => {
  it('says that a configuration is sound, and starts nothing', async () => {
    const environment = { BREAKWATER_LISTEN: 'mqtts://127.0.0.1:8883' }
    const end = await run(['check-config'], { environment })
    expect(end).toEqual({ code: 0, stdout: 'configuration is sound\n', stderr: '' })
  })

  it('reads the files that are named', async () => {
    const broken = path('broken')
    writeFileSync(broken, 'keeper\n')
    const cases = [
      [{ BREAKWATER_PASSWORD_FILE: broken }, /BREAKWATER_PASSWORD_FILE: .* line 1/],
      [{ BREAKWATER_TLS_CERT: broken, BREAKWATER_TLS_KEY: broken }, /BREAKWATER_TLS_CERT: .*PEM/],
      [
        {
          BREAKWATER_REDIS_URL: 'redis://127.0.0.1:1',
          BREAKWATER_ALLOW_ANONYMOUS: 'true',
          BREAKWATER_REDIS_PASSWORD_FILE: path('nowhere'),
        },
        /BREAKWATER_REDIS_PASSWORD_FILE: cannot read .*ENOENT/,
      ],
    ] as const
    for (const [environment, line] of cases) {
      const variables = environment as unknown as Record<string, string>
      expectOneLine(await run(['check-config'], { environment: variables }), line)
    }
  })
})

describe.concurrent('--config', () => {
  it('reads a YAML file; a variable wins over it', async () => {
    const file = path('node.yaml')
    writeFileSync(file, 'listen: [mqtt://127.0.0.1:0]\nlogLevel: loud\n')
    expectOneLine(
      await run(['--config', file, 'check-config']),
      /^breakwater: logLevel in .*node\.yaml-\d+: must be one of/,
    )
    const environment = { BREAKWATER_LOG_LEVEL: 'info' }
    expect(await run(['--config', file, 'check-config'], { environment })).toMatchObject({
      code: 0,
    })
  })

  it('refuses a file that is not there', async () => {
    expectOneLine(await run(['--config', path('nowhere.yaml')]), /^breakwater: --config .*ENOENT/)
  })
})

describe('dev-certs', () => {
  it('makes a CA and a certificate that a node serves with; a second run keeps both', async () => {
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

  it('makes a damaged server certificate again, with the CA that is there', async () => {
    const folder = path('certs')
    await run(['dev-certs', folder])
    const ca = readFileSync(join(folder, 'ca.crt'))
    writeFileSync(join(folder, 'server.crt'), 'damaged')
    expect(await run(['dev-certs', folder])).toMatchObject({ code: 0 })
    expect(readFileSync(join(folder, 'ca.crt'))).toEqual(ca)
    const made = new X509Certificate(readFileSync(join(folder, 'server.crt')))
    expect(made.verify(new X509Certificate(ca).publicKey)).toBe(true)
  })

  it('says in one line that it cannot write there', async () => {
    const file = path('file')
    writeFileSync(file, '')
    expectOneLine(await run(['dev-certs', file]), /^breakwater: EEXIST/)
  })
})

describe('a node without a certificate of its own', () => {
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

it('a node with a Redis password says it nowhere, also when Redis is lost', async (context) => {
  if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
  await using redis = await startRedis({ args: ['--requirepass', 'sesame'] })
  await using proxy = await startRedisProxy(redis.url)
  await using node = await spawnNode({
    redisUrl: proxy.url.replace('redis://', 'redis://:sesame@'),
    environment: { BREAKWATER_LOG_LEVEL: 'trace' },
  })
  await using client = await WireClient.open(node)
  expect(await client.connect({ username: 'keeper', password: 'lantern' })).toMatchObject({
    returnCode: 0,
  })
  await proxy.refuse()
  await node.logged(({ msg }) => msg === 'redis connection failed; it is tried again')
  await proxy.restore()
  await node.logged(({ msg }) => msg === 'redis is back')
  const page = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text()
  await node.kill('SIGTERM')
  const said = `${JSON.stringify(node.logs())}${page}`
  for (const secret of ['sesame', 'lantern']) expect(said).not.toContain(secret)
})

describe('passwd', () => {
  const passwd = (file: string, user: string, password: string): Promise<CommandEnd> =>
    run(['passwd', file, user], { input: password })

  it('makes a file that only its owner can read and that a node takes; replaces a user', async () => {
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

  it('leaves a file alone that has a line which no node would read', async () => {
    const file = path('passwords')
    writeFileSync(file, 'keeper\n')
    expectOneLine(await passwd(file, 'pilot', 'x'), /PASSWORD_FILE: .* line 1 /)
    expect(readFileSync(file, 'utf8')).toBe('keeper\n')
  })

  it('says in one line that it cannot write there', async () => {
    const file = join(path('nowhere'), 'passwords')
    expectOneLine(await passwd(file, 'keeper', 'x'), /^breakwater: ENOENT: .*nowhere/)
  })
})
