/**
 * Keeps what a TLS listener serves equal to its files, while clients stay connected.
 *
 * In: changes in the directories of the files, and a poll. Out: `setSecureContext` on the server for the
 * handshakes that follow, `trustChanged` for the connections that there are. New files are used only when all of them are good; until then the old ones are, and
 * it is said once what is wrong. Bounds: `filePollMs`; the settling time and attempts of `certificates/`.
 */
import type { Server } from 'node:tls'
import type { ListenerTls } from '@breakwater/config'
import type { AuthorityEnd, ClientTrust } from '@breakwater/certificates'
import type { FileCheck, WatchedFiles } from '../files/watched-files.ts'
import { filesOf, makeTlsMaterial, readTlsFiles, type TlsMaterial } from './tls-context.ts'

export interface TlsFacts {
  /** The first end of a chain. */
  readonly notAfter: Date
  /** When each authority of clients ends, the first one first. */
  readonly authorities: readonly AuthorityEnd[]
  readonly serials: readonly string[]
  /** By when the revocation list should be replaced. */
  readonly nextUpdateMs: number | undefined
}

/** What happens to the files of a listener, for its log lines and metrics. */
interface TlsEvents {
  certificatesInUse(listener: string, material: TlsFacts, first: boolean): void
  /** New files are not used; each fault is told once. */
  certificatesRefused(listener: string, why: string): void
  /** The revocation list in use should have been replaced by now; once per list. */
  revocationsStale(listener: string, since: Date): void
  /** Certificates below it let nobody in; once per authority. */
  authorityEnded(listener: string, authority: string, since: Date): void
}

export interface TlsKeeperOptions {
  readonly listener: string
  readonly tls: ListenerTls
  /** What the files held when the node read them. */
  readonly material: TlsMaterial
  readonly watched: WatchedFiles
  readonly events: TlsEvents
  /** Other authorities or revocation lists are in force: who is connected may have to go. */
  readonly trustChanged: (trust: ClientTrust) => void
}

export class TlsKeeper implements Disposable {
  readonly tls: ListenerTls
  readonly #options: TlsKeeperOptions
  readonly #watch: Disposable
  #material: TlsMaterial
  #server: Server | undefined
  #ticketKey: Buffer | undefined
  #fault: string | undefined
  #staleSaid: ClientTrust | undefined
  #endsSaid = new Set<string>()

  constructor(options: TlsKeeperOptions) {
    this.tls = options.tls
    this.#options = options
    this.#material = options.material
    options.events.certificatesInUse(options.listener, factsOf(this.#material), true)
    this.#sayOverdue()
    this.#watch = options.watched.watch({
      paths: filesOf(options.tls),
      check: () => this.#check(),
    })
  }

  get material(): TlsMaterial {
    return this.#material
  }

  /** The server that is to serve what is new. */
  serve(server: Server): void {
    this.#server = server
    this.#useTicketKey()
  }

  /** The key that all nodes have in common; a file that is named for it comes first. */
  useTicketKey(key: Buffer): void {
    this.#ticketKey = key
    this.#useTicketKey()
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }

  #check(): FileCheck {
    this.#sayOverdue()
    try {
      const files = readTlsFiles(this.tls)
      const isSame = files.digest === this.#material.digest && !this.#hasEndedSince()
      if (!isSame) this.#use(makeTlsMaterial(this.tls, files))
      this.#fault = undefined
      return isSame ? 'unchanged' : 'in-use'
    } catch (error) {
      const why = (error as Error).message
      if (why !== this.#fault) this.#options.events.certificatesRefused(this.#options.listener, why)
      this.#fault = why
      return { refused: why }
    }
  }

  #use(next: TlsMaterial): void {
    const { trust } = this.#material
    if (trust !== undefined && next.trust?.isOlderThan(trust) === true)
      throw new Error(
        `BREAKWATER_TLS_CRL: ${this.tls.crlFile} is older than the list in use; it would take back revocations`,
      )
    this.#server?.setSecureContext(next.options)
    this.#useTicketKey()
    this.#material = next
    this.#endsSaid = new Set()
    this.#options.events.certificatesInUse(this.#options.listener, factsOf(next), false)
    if (next.trust !== undefined && next.trust.digest !== trust?.digest)
      this.#options.trustChanged(next.trust)
    this.#sayOverdue()
  }

  #useTicketKey(): void {
    if (this.#ticketKey !== undefined && this.tls.ticketKeyFile === undefined)
      this.#server?.setTicketKeys(this.#ticketKey)
  }

  /** Whether an authority has ended since the material was made: OpenSSL is to follow others. */
  #hasEndedSince(): boolean {
    const { trust, options } = this.#material
    return trust !== undefined && trust.usable(Date.now()) !== options.ca
  }

  #sayOverdue(): void {
    const { trust } = this.#material
    for (const { name, endsMs } of trust?.ends(Date.now()) ?? []) {
      if (endsMs > Date.now() || this.#endsSaid.has(name)) continue
      this.#endsSaid.add(name)
      this.#options.events.authorityEnded(this.#options.listener, name, new Date(endsMs))
    }
    const sinceMs = trust?.nextUpdateMs
    if (sinceMs === undefined || sinceMs > Date.now() || this.#staleSaid === trust) return
    this.#staleSaid = trust
    this.#options.events.revocationsStale(this.#options.listener, new Date(sinceMs))
  }
}

function factsOf({ notAfter, serials, trust }: TlsMaterial): TlsFacts {
  return {
    notAfter,
    authorities: trust?.ends(Date.now()) ?? [],
    serials,
    nextUpdateMs: trust?.nextUpdateMs,
  }
}
