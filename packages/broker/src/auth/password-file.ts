/**
 * Users and their passwords, one per line: `name:$scrypt$N$r$p$salt$hash`, numbers in decimal, bytes in
 * base64. Made and edited by `breakwater passwd`; lines of `mosquitto_passwd` are read too. Lines that are
 * empty or begin with `#` are skipped.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { ConfigError } from '@breakwater/config'
import { parseMosquittoHash, type VerifyPassword } from './mosquitto-hash.ts'

interface ScryptParameters {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** About 150 ms of one core and 16 MiB: the OWASP floor for scrypt is N=2^14 with p=5. */
const PARAMETERS: ScryptParameters = { N: 16_384, r: 8, p: 5 }
const SALT_BYTES = 16
const HASH_BYTES = 32
const MEMORY_MAX_BYTES = 64 * 1_048_576
/** N × r × p, to which the time of a check is in proportion: about 16 times that of the parameters above. */
const WORK_MAX = 10_485_760
const SALT_BYTES_MIN = 8
const HASH_BYTES_MIN = 16
const HASH_BYTES_MAX = 64

/** N, r, p, salt, hash. */
const SCRYPT =
  /^\$scrypt\$([1-9]\d{0,8})\$([1-9]\d{0,8})\$([1-9]\d{0,8})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/

const derive = promisify(
  scrypt as (
    password: string | Buffer,
    salt: Buffer,
    length: number,
    options: ScryptParameters & { maxmem: number },
    callback: (error: Error | null, hash: Buffer) => void,
  ) => void,
)

interface Credential extends ScryptParameters {
  readonly salt: Buffer
  readonly hash: Buffer
}

export class PasswordFile {
  readonly #verifiers: ReadonlyMap<string, VerifyPassword>
  /** What a user that does not exist is verified with: it takes as long as for one that does. */
  readonly #strangers: readonly VerifyPassword[]
  /**
   * Passwords that were right once, by user, under a key that never leaves this process: when a thousand
   * devices come back at once, nobody derives a thousand hashes. Bound: one per user of the file.
   */
  readonly #verified = new Map<string, Buffer>()
  readonly #key = randomBytes(32)

  private constructor(verifiers: ReadonlyMap<string, VerifyPassword>) {
    this.#verifiers = verifiers
    this.#strangers = verifiers.size === 0 ? [scryptVerifier(DUMMY)] : [...verifiers.values()]
  }

  get users(): number {
    return this.#verifiers.size
  }

  has(username: string): boolean {
    return this.#verifiers.has(username)
  }

  /** @throws {ConfigError} one line with the number of the line that is wrong */
  static parse(text: string, path: string): PasswordFile {
    const verifiers = new Map<string, VerifyPassword>()
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      if (line === '' || line.startsWith('#')) continue
      const colon = line.indexOf(':')
      const hash = line.slice(colon + 1)
      const verify = parseScryptHash(hash) ?? parseMosquittoHash(hash)
      if (colon < 1 || verify === undefined) {
        throw new ConfigError(
          `BREAKWATER_PASSWORD_FILE: ${path} line ${index + 1} is not name:$scrypt$…; use \`breakwater passwd\``,
        )
      }
      const name = line.slice(0, colon)
      if (verifiers.has(name))
        throw new ConfigError(
          `BREAKWATER_PASSWORD_FILE: ${path} line ${index + 1} names a user for the second time; remove one of the two lines`,
        )
      verifiers.set(name, verify)
    }
    return new PasswordFile(verifiers)
  }

  /** Whether it was right before, without deriving anything. */
  recalls(username: string, password: Buffer): boolean {
    const known = this.#verified.get(username)
    return known !== undefined && timingSafeEqual(known, this.#markOf(password))
  }

  #markOf(password: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(password).digest()
  }

  /** Off the event loop, on the thread pool. */
  async verify(username: string, password: Buffer): Promise<boolean> {
    if (this.recalls(username, password)) return true
    const verify = this.#verifiers.get(username)
    const right = await (verify ?? this.#strangerOf(username))(password)
    if (right && verify !== undefined) this.#verified.set(username, this.#markOf(password))
    return right && verify !== undefined
  }

  /** The same for the same name: its time says nothing that changes. */
  #strangerOf(username: string): VerifyPassword {
    const place = createHmac('sha256', this.#key).update(username).digest().readUInt32BE()
    return this.#strangers[place % this.#strangers.length] as VerifyPassword
  }
}

const DUMMY: Credential = {
  ...PARAMETERS,
  salt: randomBytes(SALT_BYTES),
  hash: randomBytes(HASH_BYTES),
}

/** One line of the file. */
async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const { N, r, p } = PARAMETERS
  const hash = await derive(password, salt, HASH_BYTES, { N, r, p, maxmem: MEMORY_MAX_BYTES })
  return `$scrypt$${N}$${r}$${p}$${salt.toString('base64')}$${hash.toString('base64')}`
}

/** @throws {ConfigError} a name that the file format cannot hold */
export async function setPassword(
  text: string,
  username: string,
  password: string,
): Promise<string> {
  if (username === '' || /[:\r\n]/.test(username) || username.startsWith('#'))
    throw new ConfigError(
      `passwd: the user name "${username}" must not be empty, begin with # or hold a colon or a line break`,
    )
  const lines = text.split('\n').filter((line) => !line.startsWith(`${username}:`) && line !== '')
  lines.push(`${username}:${await hashPassword(password)}`)
  return `${lines.join('\n')}\n`
}

/** Undefined for a line of another form, and for parameters that Node refuses or that take a core for seconds. */
function parseScryptHash(line: string): VerifyPassword | undefined {
  const [, ...fields] = SCRYPT.exec(line) ?? []
  if (fields.length === 0) return undefined
  const [N = 0, r = 0, p = 0] = fields.slice(0, 3).map(Number)
  const [salt, hash] = fields.slice(3).map((field) => Buffer.from(field, 'base64'))
  if (salt === undefined || hash === undefined) return undefined
  const memory = 128 * r * (N + p + 2)
  const sound =
    N > 1 &&
    Number.isInteger(Math.log2(N)) &&
    r * p > 0 &&
    memory <= MEMORY_MAX_BYTES &&
    N * r * p <= WORK_MAX &&
    salt.length >= SALT_BYTES_MIN &&
    hash.length >= HASH_BYTES_MIN &&
    hash.length <= HASH_BYTES_MAX
  return sound ? scryptVerifier({ N, r, p, salt, hash }) : undefined
}

function scryptVerifier({ salt, hash, N, r, p }: Credential): VerifyPassword {
  const options = { N, r, p, maxmem: MEMORY_MAX_BYTES }
  return async (password) =>
    timingSafeEqual(await derive(password, salt, hash.length, options), hash)
}
