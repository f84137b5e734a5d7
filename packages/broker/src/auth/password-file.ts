/**
 * Users and their passwords, one per line: `name:$scrypt$N$r$p$salt$hash`, numbers in decimal, bytes in
 * base64. Made and edited by `breakwater passwd`; lines of `mosquitto_passwd` are read too. Lines that are
 * empty or begin with `#` are skipped.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { ConfigError } from '@breakwater/config'
import { CheckTime } from './check-time.ts'
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

interface User {
  /** As the file has it. */
  readonly hash: string
  readonly verify: VerifyPassword
  /** The same for all whose passwords take as long to check. */
  readonly time: CheckTime
}

export class PasswordFile {
  readonly #users: ReadonlyMap<string, User>
  /** A user that does not exist takes the time of one of these. */
  readonly #times: readonly CheckTime[]
  /**
   * Passwords that were right once, by user, under a key that never leaves this process: when a thousand
   * devices come back at once, nobody derives a thousand hashes. Bound: one per user of the file.
   */
  readonly #verified = new Map<string, Buffer>()
  readonly #key = randomBytes(32)

  private constructor(users: ReadonlyMap<string, User>) {
    this.#users = users
    this.#times =
      users.size === 0
        ? [new CheckTime(scryptVerifier(DUMMY))]
        : [...users.values()].map(({ time }) => time)
  }

  get users(): number {
    return this.#users.size
  }

  has(username: string): boolean {
    return this.#users.has(username)
  }

  /** Whether both files have this user, with the same password as far as anybody can tell. */
  hasSameLine(username: string, other: PasswordFile): boolean {
    const user = this.#users.get(username)
    return user !== undefined && user.hash === other.#users.get(username)?.hash
  }

  /** @throws {ConfigError} one line with the number of the line that is wrong */
  static parse(text: string, path: string): PasswordFile {
    const users = new Map<string, User>()
    const times = new Map<string, CheckTime>()
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      if (line === '' || line.startsWith('#')) continue
      const colon = line.indexOf(':')
      const hash = line.slice(colon + 1)
      const verify = parseScryptHash(hash) ?? parseMosquittoHash(hash)
      if (colon < 1 || verify === undefined || line.includes('\0')) {
        throw new ConfigError(
          `BREAKWATER_PASSWORD_FILE: ${path} line ${index + 1} is not name:$scrypt$…; use \`breakwater passwd\``,
        )
      }
      const name = line.slice(0, colon)
      if (users.has(name))
        throw new ConfigError(
          `BREAKWATER_PASSWORD_FILE: ${path} line ${index + 1} names a user for the second time; remove one of the two lines`,
        )
      const cost = costOf(hash)
      const time = times.get(cost) ?? new CheckTime(verify)
      times.set(cost, time)
      users.set(name, { hash, verify, time })
    }
    return new PasswordFile(users)
  }

  /** Whether it was right before, without deriving anything. */
  recalls(username: string, password: Buffer): boolean {
    const known = this.#verified.get(username)
    return known !== undefined && timingSafeEqual(known, this.#digest(password))
  }

  /** The same for the same user name and password while this version of the file is in use. */
  markOf(username: string, password: Buffer): string {
    return this.#digest(JSON.stringify(username), password).toString('base64')
  }

  #digest(...parts: readonly (string | Buffer)[]): Buffer {
    const hmac = createHmac('sha256', this.#key)
    for (const part of parts) hmac.update(part)
    return hmac.digest()
  }

  /** Off the event loop, on the thread pool. A user that does not exist takes as long, and no core. */
  async verify(username: string, password: Buffer): Promise<boolean> {
    if (this.recalls(username, password)) return true
    const user = this.#users.get(username)
    if (user === undefined) {
      await this.#timeOf(username).pass(password)
      return false
    }
    const right = await user.time.measure(() => user.verify(password))
    if (right) this.#verified.set(username, this.#digest(password))
    return right
  }

  /** The same for the same name: its time says nothing that changes. */
  #timeOf(username: string): CheckTime {
    const place = this.#digest(username).readUInt32BE()
    return this.#times[place % this.#times.length] as CheckTime
  }
}

/** What stands before the salt says how long a check takes. */
function costOf(hash: string): string {
  const fields = hash.split('$')
  return fields.slice(0, fields[1] === 'scrypt' ? 5 : -2).join('$')
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

/** @throws {ConfigError} the user is not there */
export function removeUser(text: string, path: string, username: string): string {
  const lines = text.split('\n')
  const rest = lines.filter((line) => !line.startsWith(`${username}:`))
  if (rest.length === lines.length || username === '' || username.startsWith('#'))
    throw new ConfigError(`passwd: user not found: "${username}" in ${path}; nothing was changed`)
  return rest.join('\n')
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
