/**
 * The key that ticket keys are wrapped under while they lie in Redis: AES-256-GCM, bound to where they lie.
 *
 * In: a file of 32 random bytes, the same at all nodes. Out: texts that say nothing to whoever reads Redis, and
 * that nobody without the file can make.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError, unreadable } from '@breakwater/config'

const SETTING = 'BREAKWATER_TLS_TICKET_WRAP_KEY'
const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

export class WrapKey {
  readonly #key: Buffer

  /** @param key 32 bytes */
  constructor(key: Buffer) {
    this.#key = key
  }

  /**
   * As bytes, or as one line of base64.
   *
   * @throws {ConfigError} one line that names the setting, the file and what is wrong with it
   */
  static read(path: string): WrapKey {
    let bytes: Buffer
    try {
      bytes = readFileSync(path)
    } catch (cause) {
      throw unreadable(SETTING, path, cause as { code?: string })
    }
    const text = bytes.toString('latin1').trim()
    const key =
      bytes.length !== KEY_BYTES && /^[A-Za-z0-9+/]{43}=$/.test(text)
        ? Buffer.from(text, 'base64')
        : bytes
    if (key.length !== KEY_BYTES || new Set(key).size < KEY_BYTES / 4)
      throw new ConfigError(
        `${SETTING}: ${path} is not ${KEY_BYTES} random bytes; make it with openssl rand -out FILE ${KEY_BYTES}`,
      )
    return new WrapKey(key)
  }

  equals(other: WrapKey): boolean {
    return this.#key.equals(other.#key)
  }

  /** @param place where the text will lie: it is good nowhere else */
  wrap(secret: Buffer, place: string): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, iv).setAAD(Buffer.from(place))
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
  }

  /** Undefined where the text was not made with this key, for this place. */
  unwrap(text: string, place: string): Buffer | undefined {
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined
    const decipher = createDecipheriv(CIPHER, this.#key, bytes.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(Buffer.from(place))
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
    try {
      return Buffer.concat([
        decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)),
        decipher.final(),
      ])
    } catch {
      return undefined
    }
  }
}
