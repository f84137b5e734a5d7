/** Revocations by what they are looked up by: four probes for each connection, whatever their number. */
import {
  decodeRevocation,
  type Revocable,
  type Revocation,
  type RevocationKey,
} from './revocation.ts'

interface Entry {
  readonly id: string
  /** As it is in the store. */
  readonly text: string
  /** Undefined: of a newer version, kept as it is. */
  readonly revocation: Revocation | undefined
}

export class RevocationTable {
  readonly #entries = new Map<string, Entry>()
  readonly #byKey: Readonly<Record<RevocationKey, Map<string, Revocation>>> = {
    serial: new Map(),
    fingerprint: new Map(),
    clientId: new Map(),
    username: new Map(),
  }

  #bytes = 0

  /** Of all entries as they are in the store. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.size
  }

  get(id: string): Revocation | undefined {
    return this.#entries.get(id)?.revocation
  }

  text(id: string): string | undefined {
    return this.#entries.get(id)?.text
  }

  list(nowMs: number): readonly Revocation[] {
    return [...this.#entries.values()].flatMap(({ revocation }) =>
      revocation === undefined || isOver(revocation, nowMs) ? [] : [revocation],
    )
  }

  /** Those whose time is over. */
  over(nowMs: number): readonly Entry[] {
    return [...this.#entries.values()].filter(
      ({ revocation }) => revocation !== undefined && isOver(revocation, nowMs),
    )
  }

  /** What is known here and not there. */
  missingIn(there: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const missing = [...this.#entries.values()].filter(({ id }) => !there.has(id))
    return new Map(missing.map(({ id, text }) => [id, text]))
  }

  find({ clientId, user, certificate }: Revocable, nowMs: number): Revocation | undefined {
    const { serial, fingerprint, clientId: byClient, username } = this.#byKey
    for (const found of [
      certificate && fingerprint.get(certificate.fingerprint),
      certificate && serial.get(certificate.serial),
      byClient.get(clientId),
      username.get(user),
    ])
      if (found !== undefined && !isOver(found, nowMs)) return found
    return undefined
  }

  set(id: string, text: string | undefined): void {
    const before = this.get(id)
    if (before !== undefined) this.#byKey[before.key].delete(before.value)
    this.#bytes -= bytesOf(this.#entries.get(id))
    this.#entries.delete(id)
    if (text === undefined) return
    const revocation = decodeRevocation(id, text)
    this.#bytes += bytesOf({ id, text })
    this.#entries.set(id, { id, text, revocation })
    if (revocation !== undefined) this.#byKey[revocation.key].set(revocation.value, revocation)
  }

  /** Returns whether there is something that was not there before. */
  replace(texts: ReadonlyMap<string, string>): boolean {
    for (const id of this.#entries.keys()) if (!texts.has(id)) this.set(id, undefined)
    let isNew = false
    for (const [id, text] of texts) {
      if (this.text(id) === text) continue
      this.set(id, text)
      isNew = true
    }
    return isNew
  }
}

function bytesOf(entry: Pick<Entry, 'id' | 'text'> | undefined): number {
  return entry === undefined ? 0 : Buffer.byteLength(entry.id) + Buffer.byteLength(entry.text)
}

function isOver({ untilMs }: Revocation, nowMs: number): boolean {
  return untilMs !== undefined && untilMs <= nowMs
}
