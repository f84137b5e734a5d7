/** What stops a start: one line that names the setting and the way out, a code that is not 0, no stack. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority, startNode } from '@breakwater/broker'
import { ConfigError, decideConfig, readSettings } from '@breakwater/config'
import { pino } from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import { findProgram } from '../kit/program.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { breakwater, expectOneLine } from './command.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-process-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Ports that are free, so that nothing but the mistake of the test can stop a start. */
const sound = {
  BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0',
  BREAKWATER_ADMIN: 'http://127.0.0.1:0',
  BREAKWATER_ALLOW_ANONYMOUS: 'true',
  BREAKWATER_DEV_DIR: join(directory, 'dev'),
}

/** What a node that does not start says in this process: the line that the command prints. */
async function refusal(environment: Readonly<Record<string, string>>): Promise<string> {
  const start = async (): Promise<never> => {
    const config = decideConfig(readSettings({ ...sound, ...environment }))
    await using _node = await startNode({ config, logger: pino({ level: 'silent' }) })
    throw new Error('the node started')
  }
  const error = await start().catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(ConfigError)
  const { message } = error as ConfigError
  expect(message).not.toContain('\n')
  return message
}

function serve(environment: Readonly<Record<string, string>>): ReturnType<typeof breakwater> {
  return breakwater(['serve'], { directory, environment: { ...sound, ...environment } })
}

let lastFile = 0
function file(content: string): string {
  lastFile += 1
  const path = join(directory, `file-${lastFile}`)
  writeFileSync(path, content)
  return path
}

describe.concurrent('a start of the node', () => {
  const takenPort = async (): Promise<{ port: number } & AsyncDisposable> => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return { port, [Symbol.asyncDispose]: async () => void server.close() }
  }

  it('fails at an unknown variable', async () => {
    expectOneLine(
      await serve({ BREAKWATER_TLS_CERTS: 'x' }),
      /^breakwater: BREAKWATER_TLS_CERTS: unknown variable; did you mean "BREAKWATER_TLS_CERT"\?$/m,
    )
  })

  it('fails at a listener whose port is in use', async () => {
    await using taken = await takenPort()
    const end = await serve({ BREAKWATER_LISTEN: `mqtt://127.0.0.1:${taken.port}` })
    const where = `BREAKWATER_LISTEN: cannot listen on 127.0.0.1:${taken.port}`
    expectOneLine(end, new RegExp(`^breakwater: ${where} \\(EADDRINUSE\\); .*another port`))
  })

  it('fails at an admin port in use, after all listeners are open', async () => {
    await using taken = await takenPort()
    await using redis = await startRedis()
    const end = await serve({
      BREAKWATER_ADMIN: `http://127.0.0.1:${taken.port}`,
      BREAKWATER_REDIS_URL: redis.url,
      BREAKWATER_REDIS_PREFIX: redis.prefix,
    })
    expectOneLine(end, /^breakwater: BREAKWATER_ADMIN: cannot listen on .*EADDRINUSE.*another port/)
  })

  it('fails at an invalid line of a password file, without showing the line', async () => {
    const path = file('# users\nkeeper:sesame\n')
    const end = await serve({ BREAKWATER_PASSWORD_FILE: path })
    expectOneLine(end, /BREAKWATER_PASSWORD_FILE: .* line 2 is not name:.*use `breakwater passwd`/)
    expect(`${end.stdout}${end.stderr}`).not.toContain('sesame')
  })
})

describe('a TLS certificate or key', () => {
  const authority = Authority.create('test')
  const issue = async (notAfter?: Date) =>
    (await authority).issue({
      commonName: 'localhost',
      usage: 'server',
      ...(notAfter && { notBefore: new Date(0), notAfter }),
    })
  const refusalWith = (cert: string, key: string) =>
    refusal({ BREAKWATER_TLS_CERT: cert, BREAKWATER_TLS_KEY: key })

  it('that is missing stops the start', async () => {
    const { cert, key } = await issue()
    const nowhere = join(directory, 'nowhere.pem')
    expect(await refusalWith(nowhere, file(key))).toMatch(
      /^BREAKWATER_TLS_CERT: cannot read .*nowhere\.pem \(ENOENT\); correct the path/,
    )
    expect(await refusalWith(file(cert), nowhere)).toMatch(
      /BREAKWATER_TLS_KEY: cannot read .*ENOENT/,
    )
  })

  it('that is a directory stops the start', async () => {
    const { key } = await issue()
    expect(await refusalWith(directory, file(key))).toMatch(
      /BREAKWATER_TLS_CERT: .*\(EISDIR\); name/,
    )
  })

  it('that is not PEM stops the start', async () => {
    const { cert, key } = await issue()
    const garbage = file('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    expect(await refusalWith(garbage, file(key))).toMatch(
      /BREAKWATER_TLS_CERT: .* is not a PEM certificate; give a file with -----BEGIN CERT/,
    )
    expect(await refusalWith(file(cert), file('not a key'))).toMatch(
      /BREAKWATER_TLS_KEY: .* is not a PEM private key; give a file with -----BEGIN PRIVATE KEY/,
    )
  })

  it('that do not belong together stop the start', async () => {
    const [one, other] = [await issue(), await issue()]
    expect(await refusalWith(file(one.cert), file(other.key))).toMatch(
      /BREAKWATER_TLS_KEY: .* is not the key of the certificate in .*; give two files that/,
    )
  })

  it('that has expired stops the start', async () => {
    const { cert, key } = await issue(new Date(Date.now() - 60_000))
    expect(await refusalWith(file(cert), file(key))).toMatch(
      /BREAKWATER_TLS_CERT: .* expired on .*; renew it/,
    )
  })

  it('that is encrypted stops the start', async () => {
    const { cert } = await issue()
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: {
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: 'sesame',
      },
    })
    expect(await refusalWith(file(cert), file(privateKey))).toMatch(
      /BREAKWATER_TLS_KEY: .* is encrypted; decrypt it with openssl pkey/,
    )
  })

  it('for development that cannot be written stops the start', async () => {
    const notADirectory = file('')
    expect(await refusal({ BREAKWATER_DEV_DIR: join(notADirectory, 'dev') })).toMatch(
      /BREAKWATER_TLS_CERT: is not set, and no development certificate can be made in .*ENOTDIR/,
    )
  })

  it('of a development CA that is damaged stops the start, and says how to get a new one', async () => {
    const damaged = mkdtempSync(join(directory, 'damaged-'))
    writeFileSync(join(damaged, 'ca.crt'), 'not a certificate')
    writeFileSync(join(damaged, 'ca.key'), 'not a key')
    expect(await refusal({ BREAKWATER_DEV_DIR: damaged })).toMatch(/ca\.crt: .*remove both/)
  })
})

describe.concurrent('an invalid setting', () => {
  it.each([
    [{ BREAKWATER_LISTEN: 'mqtts://192.0.2.1:0' }, /^BREAKWATER_LISTEN: .*EADDRNOTAVAIL.*choose/],
    [{ BREAKWATER_ALLOW_ANONYMOUS: 'false' }, /^BREAKWATER_PASSWORD_FILE: nobody could connect/],
    [{ BREAKWATER_PASSWORD_FILE: '/nowhere' }, /_PASSWORD_FILE: cannot read .*ENOENT\); correct/],
    [
      { BREAKWATER_REDIS_URL: 'redis://a:b/@127.0.0.1' },
      /^BREAKWATER_REDIS_URL: is not a URL such/,
    ],
  ] as const)('%o stops the start', async (environment, line) => {
    expect(await refusal(environment as unknown as Record<string, string>)).toMatch(line)
  })

  it('of Redis that evicts keys stops the start', async (context) => {
    if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    const line = await refusal({ BREAKWATER_REDIS_URL: redis.url })
    expect(line).toMatch(/^BREAKWATER_REDIS_URL: maxmemory-policy is allkeys-lru: .*noeviction$/)
  })
})
