/**
 * `check-config` and `serve` refuse the same configurations, with the same line: what can be known before a socket
 * is opened is known to both. Each row is one mistake; the files are made once.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority, runCommand, setPassword } from '@breakwater/broker'
import { SETTINGS } from '@breakwater/config'
import { afterAll, describe, expect, it } from 'vitest'
import { breakwater, expectOneLine, type CommandEnd } from './command.ts'

const directory = mkdtempSync(join(tmpdir(), 'breakwater-check-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let lastFile = 0
function file(content: string | Buffer): string {
  lastFile += 1
  const path = join(directory, `file-${lastFile}`)
  writeFileSync(path, content)
  return path
}

const devDir = join(directory, 'dev')
mkdirSync(devDir)
/** Ports that are free, so that nothing but the mistake of the row can stop a start. */
const SOUND = {
  BREAKWATER_LISTEN: 'mqtts://127.0.0.1:0',
  BREAKWATER_ADMIN: 'http://127.0.0.1:0',
  BREAKWATER_ALLOW_ANONYMOUS: 'true',
  BREAKWATER_DEV_DIR: devDir,
}

const authority = await Authority.create('test')
const other = await Authority.create('another')
const server = await authority.issue({ commonName: 'localhost', usage: 'server' })
const cert = file(server.cert)
const key = file(server.key)
const otherKey = file((await other.issue({ commonName: 'localhost', usage: 'server' })).key)
const ca = file(authority.pair.cert)
const crl = file(await other.revoke({ certificates: [] }))
const garbage = file('garbage\n')
const nowhere = join(directory, 'nowhere')
const line = (await setPassword('', 'keeper', 'sesame')).trimEnd()
const hash = 'A'.repeat(43) + '='
const scrypt = (parameters: string): string =>
  file(`keeper:$scrypt$${parameters}$${hash}$${hash}\n`)
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwk = publicKey.export({ format: 'jwk' })
const jwks = (...keys: readonly object[]): string => file(JSON.stringify({ keys }))
const PAIR = { BREAKWATER_TLS_CERT: cert, BREAKWATER_TLS_KEY: key }
const CLIENTS = { ...PAIR, BREAKWATER_TLS_CLIENT_AUTH: 'optional', BREAKWATER_TLS_CLIENT_CA: ca }
const REDIS = { BREAKWATER_REDIS_URL: 'rediss://127.0.0.1:1' }

type Row = readonly [mistake: string, setting: string, Readonly<Record<string, string>>]

const MISTAKES: readonly Row[] = [
  ['a password line with N=1', 'PASSWORD_FILE', { BREAKWATER_PASSWORD_FILE: scrypt('1$8$5') }],
  [
    'a password line with r=1.5',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: scrypt('16384$1.5$5') },
  ],
  ['a password line with N=1e3', 'PASSWORD_FILE', { BREAKWATER_PASSWORD_FILE: scrypt('1e3$8$5') }],
  [
    'a password line with N=0x400',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: scrypt('0x400$8$5') },
  ],
  [
    'a password line whose check takes minutes of CPU time',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: scrypt('262144$1$65536') },
  ],
  [
    'a password line that needs more memory than Node allows',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: scrypt('2$1$999999') },
  ],
  [
    'a password line whose hash is not base64',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: file(`keeper:$scrypt$16384$8$5$${hash}$${'!'.repeat(44)}\n`) },
  ],
  [
    'a line of mosquitto_passwd with 1e3 iterations',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: file(`keeper:$7$1e3$${hash}$${'A'.repeat(86)}==\n`) },
  ],
  [
    'a user that is there twice',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: file(`${line}\n${line}\n`) },
  ],
  [
    'a user name with a NUL',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: file(line.replace('keeper', 'kee\0per')) },
  ],
  [
    'a password file that is not UTF-8',
    'PASSWORD_FILE',
    { BREAKWATER_PASSWORD_FILE: file(Buffer.from(line.replace('keeper', 'k\u00e9per'), 'latin1')) },
  ],
  [
    'rules that are not UTF-8',
    'ACL_FILE',
    { BREAKWATER_ACL_FILE: file(Buffer.from('rules: [] # \u00e9\n', 'latin1')) },
  ],
  ['a JWKS that is not there', 'JWT_KEYS', { BREAKWATER_JWT_KEYS: nowhere }],
  ['a JWKS that is a directory', 'JWT_KEYS', { BREAKWATER_JWT_KEYS: directory }],
  ['a JWKS that is not JSON', 'JWT_KEYS', { BREAKWATER_JWT_KEYS: garbage }],
  ['a JWKS that is null', 'JWT_KEYS', { BREAKWATER_JWT_KEYS: file('null') }],
  ['a JWKS without keys', 'JWT_KEYS', { BREAKWATER_JWT_KEYS: file('{}') }],
  ['a JWKS with an empty list of keys', 'JWT_KEYS', { BREAKWATER_JWT_KEYS: jwks() }],
  [
    'a JWKS with an incomplete key',
    'JWT_KEYS',
    { BREAKWATER_JWT_KEYS: jwks({ kty: 'EC', crv: 'P-256' }) },
  ],
  [
    'a JWKS with only a symmetric key',
    'JWT_KEYS',
    { BREAKWATER_JWT_KEYS: jwks({ kty: 'oct', k: 'AAAA' }) },
  ],
  [
    'a JWKS with a private key',
    'JWT_KEYS',
    { BREAKWATER_JWT_KEYS: jwks(privateKey.export({ format: 'jwk' })) },
  ],
  ['rules that are not YAML', 'ACL_FILE', { BREAKWATER_ACL_FILE: file('rules: [}\n') }],
  ['rules with an unknown alias', 'ACL_FILE', { BREAKWATER_ACL_FILE: file('rules: *nobody\n') }],
  ['rules that are not there', 'ACL_FILE', { BREAKWATER_ACL_FILE: nowhere }],
  [
    'an admin token that is too short',
    'ADMIN_TOKEN_FILE',
    { BREAKWATER_ADMIN_TOKEN_FILE: file('short\n') },
  ],
  [
    'an admin token that is not there',
    'ADMIN_TOKEN_FILE',
    { BREAKWATER_ADMIN_TOKEN_FILE: nowhere },
  ],
  ['a certificate without its key', 'TLS_CERT', { BREAKWATER_TLS_CERT: cert }],
  [
    'a certificate with the key of another',
    'TLS_KEY',
    { BREAKWATER_TLS_CERT: cert, BREAKWATER_TLS_KEY: otherKey },
  ],
  [
    'a certificate of a listener that is not there',
    'TLS_CERT',
    { BREAKWATER_LISTEN: `mqtts://127.0.0.1:0?cert=${nowhere}&key=${key}` },
  ],
  [
    'a client authority that is not PEM',
    'TLS_CLIENT_CA',
    { ...CLIENTS, BREAKWATER_TLS_CLIENT_CA: garbage },
  ],
  [
    'a client authority that is not a certificate',
    'TLS_CLIENT_CA',
    { ...CLIENTS, BREAKWATER_TLS_CLIENT_CA: cert },
  ],
  [
    'a client authority that is not PEM, beside a development certificate',
    'TLS_CLIENT_CA',
    { BREAKWATER_TLS_CLIENT_AUTH: 'required', BREAKWATER_TLS_CLIENT_CA: garbage },
  ],
  ['a revocation list that is not there', 'TLS_CRL', { ...CLIENTS, BREAKWATER_TLS_CRL: nowhere }],
  ['a revocation list that is not a CRL', 'TLS_CRL', { ...CLIENTS, BREAKWATER_TLS_CRL: garbage }],
  ['a revocation list of another authority', 'TLS_CRL', { ...CLIENTS, BREAKWATER_TLS_CRL: crl }],
  ['unknown cipher suites', 'TLS_CIPHERS', { ...PAIR, BREAKWATER_TLS_CIPHERS: 'NONSENSE' }],
  [
    'unknown cipher suites, beside client authorities',
    'TLS_CIPHERS',
    { ...CLIENTS, BREAKWATER_TLS_CIPHERS: 'NONSENSE' },
  ],
  [
    'unknown cipher suites, beside a development certificate',
    'TLS_CIPHERS',
    { BREAKWATER_TLS_CIPHERS: 'NONSENSE' },
  ],
  [
    'cipher suites without one of TLS 1.3 when TLS 1.3 is the minimum version',
    'TLS_CIPHERS',
    {
      ...PAIR,
      BREAKWATER_TLS_MIN_VERSION: 'TLSv1.3',
      BREAKWATER_TLS_CIPHERS: 'ECDHE-ECDSA-AES128-GCM-SHA256',
    },
  ],
  [
    'a ticket key of 47 bytes',
    'TLS_TICKET_KEY',
    { ...PAIR, BREAKWATER_TLS_TICKET_KEY: file(randomBytes(47)) },
  ],
  [
    'a ticket key of 47 bytes, beside a development certificate',
    'TLS_TICKET_KEY',
    { BREAKWATER_TLS_TICKET_KEY: file(randomBytes(47)) },
  ],
  [
    'a wrap key of 31 bytes',
    'TLS_TICKET_WRAP_KEY',
    { ...REDIS, BREAKWATER_TLS_TICKET_WRAP_KEY: file(randomBytes(31)) },
  ],
  ['a development directory that is a file', 'TLS_CERT', { BREAKWATER_DEV_DIR: garbage }],
  [
    'a development directory below a file',
    'TLS_CERT',
    { BREAKWATER_DEV_DIR: join(garbage, 'dev') },
  ],
  ['a Redis authority that is not PEM', 'REDIS_CA', { ...REDIS, BREAKWATER_REDIS_CA: garbage }],
  [
    'a Redis certificate that is not there',
    'REDIS_CERT',
    { ...REDIS, BREAKWATER_REDIS_CERT: nowhere, BREAKWATER_REDIS_KEY: key },
  ],
  [
    'a Redis certificate with the key of another',
    'REDIS_KEY',
    { ...REDIS, BREAKWATER_REDIS_CERT: cert, BREAKWATER_REDIS_KEY: otherKey },
  ],
  [
    'a Redis password file that is empty',
    'REDIS_PASSWORD_FILE',
    { ...REDIS, BREAKWATER_REDIS_PASSWORD_FILE: file('\n') },
  ],
  [
    'a Sentinel password file that is not there',
    'REDIS_SENTINEL_PASSWORD_FILE',
    {
      BREAKWATER_REDIS_URL: 'redis-sentinel://127.0.0.1:1/m',
      BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE: nowhere,
    },
  ],
  [
    'two listeners on one port',
    'LISTEN',
    { BREAKWATER_LISTEN: 'mqtt://127.0.0.1:21883,ws://127.0.0.1:21883' },
  ],
  [
    'a listener on a port that another listener has on all addresses',
    'LISTEN',
    { BREAKWATER_LISTEN: 'mqtt://0.0.0.0:21883,mqtt://127.0.0.1:21883' },
  ],
  [
    'a listener on the admin port',
    'LISTEN',
    { BREAKWATER_LISTEN: 'mqtt://[::]:29464', BREAKWATER_ADMIN: 'http://127.0.0.1:29464' },
  ],
  ['an unknown variable', 'NONSENSE', { BREAKWATER_NONSENSE: 'x' }],
]

async function end(
  command: string,
  environment: Readonly<Record<string, string>>,
): Promise<CommandEnd> {
  let stdout = ''
  let stderr = ''
  const code = await runCommand([command], {
    environment: { ...SOUND, ...environment },
    print: (text) => void (stdout += text),
    complain: (text) => void (stderr += text),
  })
  return { code, stdout, stderr }
}

describe('check-config and serve refuse the same mistake with the same line:', () => {
  it.each(MISTAKES)('%s', async (_mistake, setting, environment) => {
    const checked = await end('check-config', environment)
    expectOneLine(checked, new RegExp(`^breakwater: .*(${setting})`))
    // A node that starts in spite of it would keep this test until its time is over.
    expect(await end('serve', environment)).toEqual(checked)
    expect(checked.stderr).not.toMatch(/sesame|AAAA/)
  })
})

/** Every setting that names a file, by its name: one that is added later is looked at, too. */
const FILE_SETTINGS = Object.values(SETTINGS).filter((name) =>
  /_(FILE|CA|CERT|KEY|KEYS|CRL)$/.test(name),
)

it.each(FILE_SETTINGS)('check-config reads the file that %s names', async (setting) => {
  const everything = {
    ...CLIENTS,
    BREAKWATER_REDIS_URL: 'rediss-sentinel://127.0.0.1:1/m',
    BREAKWATER_REDIS_CERT: cert,
    BREAKWATER_REDIS_KEY: key,
    BREAKWATER_AUTH_HTTP_URL: 'https://127.0.0.1:1',
    BREAKWATER_JWT_KEYS: 'https://127.0.0.1:1',
    [setting]: nowhere,
  }
  expectOneLine(
    await end('check-config', everything),
    new RegExp(`^breakwater: ${setting}: cannot read .*nowhere \\(ENOENT\\); `),
  )
})

it('the check-config process ends with the same line as the function, and with exit code 1', async () => {
  const environment = { ...SOUND, BREAKWATER_JWT_KEYS: nowhere }
  const options = { directory, environment }
  const [checked, served] = await Promise.all([
    breakwater(['check-config'], options),
    breakwater(['serve'], options),
  ])
  expectOneLine(checked, /^breakwater: BREAKWATER_JWT_KEYS: cannot read .*nowhere \(ENOENT\); /)
  expect(served).toEqual(checked)
  expect(await end('check-config', { BREAKWATER_JWT_KEYS: nowhere })).toEqual(checked)
})

it('check-config accepts valid configurations, and makes no development certificate', async () => {
  const devDir = join(directory, 'not-made')
  for (const environment of [
    { BREAKWATER_DEV_DIR: devDir },
    { BREAKWATER_PASSWORD_FILE: file(`# users\n${line}\n`), ...CLIENTS },
    { BREAKWATER_JWT_KEYS: jwks({ kty: 'oct', k: 'AAAA' }, { ...jwk, kid: 'a', use: 'sig' }) },
    {
      BREAKWATER_LISTEN:
        'mqtt://127.0.0.1:0,mqtt://127.0.0.1:0,mqtt://0.0.0.0:21883,mqtt://[::1]:21883',
    },
  ] as readonly Readonly<Record<string, string>>[])
    expect(await end('check-config', environment)).toEqual({
      code: 0,
      stdout: 'configuration is sound\n',
      stderr: '',
    })
  expect(existsSync(devDir)).toBe(false)
})
