/** What stops a start: one line that names the setting and the way out, a code that is not 0, no stack. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority } from '@breakwater/broker'
import { afterAll, describe, expect, it } from 'vitest'
import { startRedisProxy } from '../cluster/redis-proxy.ts'
import { findProgram } from '../kit/program.ts'
import { startRedis } from '../kit/redis.ts'
import { breakwater, expectOneLine } from './command.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-process-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Ports that are free, so that nothing but the mistake of the test can stop a start. */
const sound = {
  BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0',
  BREAKWATER_ADMIN: 'http://127.0.0.1:0',
  BREAKWATER_ALLOW_ANONYMOUS: 'true',
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

describe.concurrent('a setting that is wrong', () => {
  it.each([
    [
      { BREAKWATER_LISTN: 'mqtts://127.0.0.1:0' },
      /^breakwater: BREAKWATER_LISTN: unknown variable/,
    ],
    [{ BREAKWATER_TLS_CERTS: 'x' }, /BREAKWATER_TLS_CERTS: .*did you mean BREAKWATER_TLS_CERT\?/],
    [{ BREAKWATER_LISTEN: 'tcp://127.0.0.1:0' }, /BREAKWATER_LISTEN: .*mqtts:\/\/ or mqtt:\/\//],
    [{ BREAKWATER_LISTEN: 'mqtts://127.0.0.1:99999' }, /BREAKWATER_LISTEN: .*is not a URL/],
    [{ BREAKWATER_LISTEN: 'mqtts://192.0.2.1:0' }, /BREAKWATER_LISTEN: .*EADDRNOTAVAIL.*choose/],
    [{ BREAKWATER_ALLOW_ANONYMOUS: '1' }, /BREAKWATER_ALLOW_ANONYMOUS: must be true or false/],
    [{ BREAKWATER_SESSION_EXPIRY: 'never' }, /BREAKWATER_SESSION_EXPIRY: must be a duration/],
    [{ BREAKWATER_SESSION_EXPIRY: '1s' }, /BREAKWATER_SESSION_EXPIRY: must be from 2s to/],
    [{ BREAKWATER_SHUTDOWN_TIMEOUT: '90d' }, /BREAKWATER_SHUTDOWN_TIMEOUT: must be from 1s to 1h/],
    [{ BREAKWATER_LIMIT_PACKET_BYTES_MAX: '1e9' }, /BREAKWATER_LIMIT_PACKET_BYTES_MAX: must be a/],
    [{ BREAKWATER_ALLOW_ANONYMOUS: 'false' }, /BREAKWATER_PASSWORD_FILE: nobody could connect/],
  ] as const)('%o stops the start', async (environment, line) => {
    expectOneLine(await serve(environment as unknown as Record<string, string>), line)
  })
})

describe.concurrent('a certificate or key', () => {
  const authority = Authority.create('test')
  const issue = async (notAfter?: Date) =>
    (await authority).issue({
      commonName: 'localhost',
      usage: 'server',
      ...(notAfter && { notBefore: new Date(0), notAfter }),
    })
  const serveWith = (cert: string, key: string) =>
    serve({ BREAKWATER_TLS_CERT: cert, BREAKWATER_TLS_KEY: key })

  it('that is not there stops the start', async () => {
    const { cert, key } = await issue()
    const nowhere = join(directory, 'nowhere.pem')
    expectOneLine(
      await serveWith(nowhere, file(key)),
      /^breakwater: BREAKWATER_TLS_CERT: cannot read .*nowhere\.pem \(ENOENT\); correct the path/,
    )
    expectOneLine(await serveWith(file(cert), nowhere), /BREAKWATER_TLS_KEY: cannot read .*ENOENT/)
  })

  it('that is a directory stops the start', async () => {
    const { key } = await issue()
    expectOneLine(await serveWith(directory, file(key)), /BREAKWATER_TLS_CERT: .*\(EISDIR\); name/)
  })

  it('that is not PEM stops the start', async () => {
    const { cert, key } = await issue()
    const garbage = file('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    expectOneLine(
      await serveWith(garbage, file(key)),
      /BREAKWATER_TLS_CERT: .* is not a PEM certificate; give a file with -----BEGIN CERT/,
    )
    expectOneLine(
      await serveWith(file(cert), file('not a key')),
      /BREAKWATER_TLS_KEY: .* is not a PEM private key; give a file with -----BEGIN PRIVATE KEY/,
    )
  })

  it('that do not belong together stop the start', async () => {
    const [one, other] = [await issue(), await issue()]
    expectOneLine(
      await serveWith(file(one.cert), file(other.key)),
      /BREAKWATER_TLS_KEY: .* is not the key of the certificate in .*; give two files that/,
    )
  })

  it('that has expired stops the start', async () => {
    const { cert, key } = await issue(new Date(Date.now() - 60_000))
    expectOneLine(
      await serveWith(file(cert), file(key)),
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
    expectOneLine(
      await serveWith(file(cert), file(privateKey)),
      /BREAKWATER_TLS_KEY: .* is encrypted; decrypt it with openssl pkey/,
    )
  })

  it('that cannot be made for development stops the start', async () => {
    const notADirectory = file('')
    expectOneLine(
      await serve({ BREAKWATER_DEV_DIR: join(notADirectory, 'dev') }),
      /BREAKWATER_TLS_CERT: is not set, and no development certificate can be made in .*ENOTDIR/,
    )
  })

  it('of a development CA that is damaged stops the start, and says how to get a new one', async () => {
    const damaged = mkdtempSync(join(directory, 'damaged-'))
    writeFileSync(join(damaged, 'ca.crt'), 'not a certificate')
    writeFileSync(join(damaged, 'ca.key'), 'not a key')
    expectOneLine(await serve({ BREAKWATER_DEV_DIR: damaged }), /ca\.crt: .*remove both/)
  })
})

describe.concurrent('a port in use', () => {
  const takenPort = async (): Promise<{ port: number } & AsyncDisposable> => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return { port, [Symbol.asyncDispose]: async () => void server.close() }
  }

  it.each([
    ['BREAKWATER_LISTEN', 'mqtt'],
    ['BREAKWATER_ADMIN', 'http'],
  ])('of %s stops the start', async (variable, protocol) => {
    await using taken = await takenPort()
    const end = await serve({ [variable]: `${protocol}://127.0.0.1:${taken.port}` })
    const where = `${variable}: cannot listen on 127.0.0.1:${taken.port}`
    expectOneLine(end, new RegExp(`^breakwater: ${where} \\(EADDRINUSE\\); .*another port`))
  })
})

describe.concurrent('a password file', () => {
  it('that is not there stops the start', async () => {
    const path = join(directory, 'no-passwords')
    expectOneLine(
      await serve({ BREAKWATER_PASSWORD_FILE: path }),
      /BREAKWATER_PASSWORD_FILE: cannot read .*no-passwords \(ENOENT\); correct the path/,
    )
  })

  it('with a line that is none stops the start, without showing the line', async () => {
    const path = file('# users\nkeeper:sesame\n')
    const end = await serve({ BREAKWATER_PASSWORD_FILE: path })
    expectOneLine(end, /BREAKWATER_PASSWORD_FILE: .* line 2 is not name:.*use `breakwater passwd`/)
    expect(`${end.stdout}${end.stderr}`).not.toContain('sesame')
  })
})

describe.concurrent('a Redis', () => {
  it('that is not there stops the start', async () => {
    const end = await serve({ BREAKWATER_REDIS_URL: 'redis://keeper:sesame@127.0.0.1:1' })
    expectOneLine(end, /^breakwater: BREAKWATER_REDIS_URL: redis:\/\/127\.0\.0\.1:1.*ECONNREFUSED/)
    expect(`${end.stdout}${end.stderr}`).not.toContain('sesame')
  })

  it('that says nothing stops the start', async () => {
    await using redis = await startRedis()
    await using proxy = await startRedisProxy(redis.url)
    proxy.stall()
    const end = await serve({ BREAKWATER_REDIS_URL: proxy.url })
    expectOneLine(end, /BREAKWATER_REDIS_URL: redis:\/\/127.*no answer/)
  })

  it('whose address is no URL stops the start, without showing the password in it', async () => {
    const end = await serve({ BREAKWATER_REDIS_URL: 'redis://keeper:sesame/@127.0.0.1:6379' })
    expectOneLine(end, /BREAKWATER_REDIS_URL: is not a URL such as redis:/)
    expect(`${end.stdout}${end.stderr}`).not.toContain('sesame')
  })

  it('that does not take the password stops the start', async (context) => {
    if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
    await using redis = await startRedis({ args: ['--requirepass', 'open'] })
    const url = redis.url.replace('redis://', 'redis://:sesame@')
    const end = await serve({ BREAKWATER_REDIS_URL: url })
    expectOneLine(end, /BREAKWATER_REDIS_URL: redis:\/\/127\.0\.0\.1:\d+.*WRONGPASS/)
    expect(`${end.stdout}${end.stderr}`).not.toContain('sesame')
    const passwordFile = file('sesame\n')
    const other = await serve({
      BREAKWATER_REDIS_URL: redis.url,
      BREAKWATER_REDIS_PASSWORD_FILE: passwordFile,
    })
    expectOneLine(other, /BREAKWATER_REDIS_URL: redis:\/\/127\.0\.0\.1:\d+.*WRONGPASS/)
    expect(`${other.stdout}${other.stderr}`).not.toContain('sesame')
  })

  it('that evicts keys stops the start', async (context) => {
    if (findProgram('redis-server') === undefined) context.skip('redis-server not installed')
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    const end = await serve({ BREAKWATER_REDIS_URL: redis.url })
    expectOneLine(end, /BREAKWATER_REDIS_URL: maxmemory-policy is allkeys-lru: .*set .*noeviction/)
  })
})
