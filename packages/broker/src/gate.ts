/**
 * Who gets in, and what they may do there. Composition, like node.ts: the ways of logging in, the access rules,
 * and the files that they come from, which may change while the node runs.
 *
 * In: what a client shows with CONNECT. Out: who it is and its permissions, or the reason why not; `onRules`
 * when the rules have changed. Bounds: those of each way, and `filePollMs`.
 */
import type { Config } from '@breakwater/config'
import type { AccessRules } from './access/access-rules.ts'
import { Permissions } from './access/permissions.ts'
import { isRefused, type Refused } from './auth/answer.ts'
import { createAuthenticate, type Authenticate } from './auth/authenticate.ts'
import { certificateRefusal } from './auth/certificate-rules.ts'
import type { Connection } from './connection/connection.ts'
import type { Events } from './events.ts'
import { keepFile, type KeptFile } from './kept-file.ts'
import { LoginWays } from './login-ways.ts'
import type { NodeFiles } from './node-files.ts'
import type { Revocations } from './revocation/revocations.ts'
import type { WatchedFiles } from './watched-files.ts'

export interface Admitted {
  /** Nobody in particular where clients are anonymous. */
  readonly user: string
  /** Undefined: everything. */
  readonly permissions: Permissions | undefined
  /** When the connection must end, ms since the epoch. */
  readonly expiresAt: number | undefined
}

export interface Login {
  readonly username: string | undefined
  readonly password: Buffer | undefined
  readonly willTopic: string | undefined
}

/** Of the time that a CONNECT may take, the part in which its login may be checked: a session is opened after it. */
const LOGIN_SHARE = 0.8

export class Gate implements Disposable {
  readonly #authenticate: Authenticate
  readonly #rules: KeptFile<AccessRules> | undefined
  readonly #revocations: Revocations
  readonly #ways: LoginWays
  readonly #loginTimeoutMs: number
  #rulesChanged: (rules: AccessRules) => void = () => {}

  constructor(
    config: Config,
    files: NodeFiles,
    watched: WatchedFiles,
    events: Events,
    revocations: Revocations,
  ) {
    this.#revocations = revocations
    const { allowAnonymous, limits } = config
    this.#loginTimeoutMs = limits.connectTimeoutMs * LOGIN_SHARE
    this.#ways = new LoginWays(config, files, watched, events)
    this.#authenticate = createAuthenticate({ ways: this.#ways.all, allowAnonymous })
    if (files.rules !== undefined)
      this.#rules = keepFile(events, watched, files.rules, (rules) => this.#rulesChanged(rules))
  }

  onRules(handler: (rules: AccessRules) => void): void {
    this.#rulesChanged = handler
  }

  async admit(
    connection: Connection,
    { username, password, willTopic }: Login,
  ): Promise<Admitted | Refused> {
    const { clientId, certificate, peer, site, openedAt } = connection
    const names = certificate?.names
    const answer =
      certificate?.identifies === true
        ? (certificateRefusal(certificate, username, clientId) ?? { username: certificate.name })
        : await this.#authenticate({
            clientId,
            username,
            password,
            certificate: names,
            peer,
            site,
            client: connection,
            deadlineMs: openedAt + this.#loginTimeoutMs,
          })
    if (isRefused(answer)) return answer
    const { claims, expiresAt } = answer
    const nowMs = Date.now()
    if (certificate?.expires === true && certificate.notAfterMs <= nowMs)
      return { refused: 'certificate-expired' }
    if (expiresAt !== undefined && expiresAt <= nowMs) return { refused: 'login-expired' }
    const user = answer.username ?? ''
    const revocation = this.#revocations.find({ clientId, user, certificate })
    if (revocation !== undefined) return { refused: 'revoked', detail: revocation.id }
    const rules = this.#rules?.current
    const identity = {
      clientId,
      username: answer.username,
      ...(names === undefined ? {} : { certificate: names }),
      ...(claims === undefined ? {} : { claims }),
    }
    const permissions =
      rules === undefined ? undefined : new Permissions(identity, rules, willTopic)
    if (permissions?.deniedWill !== undefined)
      return { refused: 'not-authorized', detail: `it may not publish its will to ${willTopic}` }
    return { user, permissions, expiresAt }
  }

  [Symbol.dispose](): void {
    this.#ways[Symbol.dispose]()
    this.#rules?.[Symbol.dispose]()
  }
}
