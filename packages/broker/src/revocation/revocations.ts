/**
 * The revocations that are in force at this node: looked up for every connection, kept equal to the store.
 *
 * In: changes by the admin API here, notices of other nodes, the store. Out: `find`; `enforce` when somebody
 * who is connected may have to go; a notice to the other nodes. A notice is one step from a known version to
 * the next; whoever misses one reads the store again, at the next notice, after a lost connection, or after
 * RECHECK_MS. While the store does not answer, the last list that is known stays in force.
 *
 * Bounds: `revocationsMax` entries and `revocationsBytesMax` of them; STEPS_AT_ONCE of those that are over, or were seen to fit a certificate, are
 * changed in one go.
 */
import type {
  RevocationChange,
  RevocationSnapshot,
  RevocationStep,
  RevocationStore,
} from '@breakwater/store'
import { RevocationTable } from './revocation-table.ts'
import { encodeRevocation, revocationId, type Revocable, type Revocation } from './revocation.ts'

const RECHECK_MS = 5_000
const STEPS_AT_ONCE = 100
/** Of a store that has lost something, or is changed by others meanwhile. */
const ATTEMPTS = 5

export interface RevocationsOptions {
  readonly entriesMax: number
  /** Of all entries as they are stored. */
  readonly bytesMax: number
  /** Closes whoever is connected and is found now; resolves with how many that were. */
  readonly enforce: () => Promise<number>
  /** The list in force has changed. */
  readonly onChange: (entries: number) => void
  /** The store does not answer, and nobody awaits it. */
  readonly onFault: (error: Error) => void
}

export interface RevocationSource {
  readonly store: RevocationStore
  /** Tells the other nodes. */
  readonly tell: (step: RevocationStep) => void
}

export type Added = { readonly revocation: Revocation; readonly closed: number } | 'full'

export class Revocations implements Disposable {
  readonly #options: RevocationsOptions
  readonly #table = new RevocationTable()
  /** Seen to fit a certificate that ends later than the entry: id → ms since the epoch. */
  readonly #seen = new Map<string, number>()
  #source: RevocationSource | undefined
  #version = 0
  /** The store was restored; what this node knows and it does not have was lost. */
  #restored = 0
  #mayHaveLost = false
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  #readAgain = false
  #extending: Promise<void> | undefined

  constructor(options: RevocationsOptions) {
    this.#options = options
  }

  /** Resolves when the list of the store is in force here. @throws {Error} the store does not answer */
  async start(source: RevocationSource): Promise<void> {
    this.#source = source
    await this.#read()
    this.#timer = setInterval(() => this.#recheck(), RECHECK_MS).unref()
  }

  get size(): number {
    return this.#table.size
  }

  /** Those in force, in no order. */
  list(): readonly Revocation[] {
    return this.#table.list(Date.now())
  }

  get(id: string): Revocation | undefined {
    return this.#table.get(id)
  }

  /** Why somebody is not let in; undefined: nobody has said so. */
  find(revocable: Revocable): Revocation | undefined {
    if (this.#table.size === 0) return undefined
    const found = this.#table.find(revocable, Date.now())
    // Who has another certificate tomorrow is still the same client, or user.
    if (found?.key === 'serial' || found?.key === 'fingerprint')
      this.#saw(found, revocable.certificate?.notAfterMs ?? 0)
    return found
  }

  /**
   * In force here when this resolves, elsewhere a moment later. One with the same id is replaced.
   *
   * @throws {Error} the store does not answer; it may be in force all the same
   */
  async add(revocation: Omit<Revocation, 'id'>): Promise<Added> {
    const id = revocationId(revocation.key, revocation.value)
    const text = encodeRevocation(revocation)
    const added = Buffer.byteLength(id) + Buffer.byteLength(text)
    if (this.#table.bytes + added > this.#options.bytesMax) return 'full'
    const answer = await this.#change({ id, text })
    if (answer === 'full') return answer
    const closed = answer === 'unchanged' ? 0 : await answer.enforced
    await this.#extending
    return { revocation: this.#table.get(id) ?? { id, ...revocation }, closed }
  }

  /** Resolves with whether there was one. @throws {Error} the store does not answer */
  async remove(id: string): Promise<boolean> {
    return typeof (await this.#change({ id })) === 'object'
  }

  /** Another node has changed it. */
  stepped(step: RevocationStep): void {
    if (step.version === this.#version) return
    if (step.previous === this.#version) void this.#apply(step)
    else this.refresh()
  }

  /** Something may have been missed. */
  refresh(): void {
    this.#read().catch((error: Error) => this.#fault(error))
  }

  /** The store may have lost some: what this node knows and it does not have is put back. */
  mayHaveLost(): void {
    this.#mayHaveLost = true
    this.refresh()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#source = undefined
  }

  #recheck(): void {
    this.refresh()
    const over = this.#table.over(Date.now()).slice(0, STEPS_AT_ONCE)
    // By the clock of the store too: a node whose own is fast must not let anybody in elsewhere.
    for (const { id, text, revocation } of over)
      this.#change({ id, from: text, notBeforeMs: revocation?.untilMs ?? 0 }).catch(
        (error: Error) => this.#fault(error),
      )
  }

  /** What is under way when the node stops fails, and nobody is to hear of it. */
  #fault(error: Error): void {
    if (this.#source !== undefined) this.#options.onFault(error)
  }

  /** One read at a time; who asks meanwhile gets the next one. */
  #read(): Promise<void> {
    this.#readAgain = true
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readAll(): Promise<void> {
    while (this.#readAgain && this.#source !== undefined) {
      this.#readAgain = false
      const { store } = this.#source
      const known = this.#version
      const snapshot = await store.read(this.#mayHaveLost ? -1 : known)
      if (snapshot === undefined) continue
      if (known !== this.#version) {
        // A step came meanwhile: what was read may be older.
        this.#readAgain = true
      } else if (this.#isLossy(snapshot)) {
        const lost = this.#table.missingIn(snapshot.entries)
        await store.restore(lost, known)
        this.#mayHaveLost = false
        this.#restored = snapshot.restored
        this.#readAgain = true
      } else {
        this.#use(snapshot)
      }
    }
  }

  /** Whether the store may have lost what this node knows. Of what was deleted meanwhile some may come back. */
  #isLossy({ version, restored, entries }: RevocationSnapshot): boolean {
    if (this.#version === 0) return false
    if (version < this.#version) return true
    const mayHaveLost = this.#mayHaveLost || restored !== this.#restored
    return mayHaveLost && this.#table.missingIn(entries).size > 0
  }

  #use({ version, restored, entries }: RevocationSnapshot): void {
    this.#version = version
    this.#restored = restored
    this.#mayHaveLost = false
    if (this.#table.replace(entries)) void this.#options.enforce()
    this.#options.onChange(this.#table.size)
  }

  async #change(
    change: RevocationChange,
  ): Promise<'full' | 'unchanged' | { readonly enforced: Promise<number> }> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (this.#source === undefined) break
      const { store, tell } = this.#source
      const known = this.#version
      const answer = await store.change(change, known, this.#options.entriesMax)
      if (answer === 'behind') {
        await this.#read()
        continue
      }
      if (typeof answer === 'string') return answer
      tell(answer)
      if (answer.previous === this.#version) return { enforced: this.#apply(answer) }
      await this.#read()
      return { enforced: this.#options.enforce() }
    }
    throw new Error('the list of revocations changes all the time')
  }

  async #apply({ version, id, text }: RevocationStep): Promise<number> {
    this.#version = version
    this.#table.set(id, text)
    this.#options.onChange(this.#table.size)
    return text === undefined ? 0 : await this.#options.enforce()
  }

  #saw({ id, fixed, untilMs = 0 }: Revocation, notAfterMs: number): void {
    if (fixed || notAfterMs <= Math.max(untilMs, this.#seen.get(id) ?? 0)) return
    if (!this.#seen.has(id) && this.#seen.size >= STEPS_AT_ONCE) return
    this.#seen.set(id, notAfterMs)
    this.#extending ??= this.#extend().finally(() => {
      this.#extending = undefined
    })
  }

  /** What is written is what was found: an entry that is deleted or replaced meanwhile stays so. */
  async #extend(): Promise<void> {
    for (const [id, untilMs] of this.#seen) {
      const from = this.#table.text(id)
      const revocation = this.#table.get(id)
      if (from !== undefined && revocation !== undefined)
        await this.#change({ id, from, text: encodeRevocation({ ...revocation, untilMs }) }).catch(
          (error: Error) => this.#fault(error),
        )
      this.#seen.delete(id)
    }
  }
}
