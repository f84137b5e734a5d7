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
import { isRefused, type Authenticator, type Refused } from './auth/answer.ts'
import {
  createAuthenticate,
  limited,
  passwordAuthenticator,
  passwordRecall,
  type Authenticate,
} from './auth/authenticate.ts'
import { certificateRefusal } from './auth/certificate-rules.ts'
import { HttpHook } from './auth/http-hook.ts'
import { LoginRate } from './auth/login-rate.ts'
import type { PasswordFile } from './auth/password-file.ts'
import { createTokenAuthenticator } from './auth/token.ts'
import type { Connection } from './connection/connection.ts'
import type { Events } from './events.ts'
import { keepFile, type GoodFile, type KeptFile } from './kept-file.ts'
import type { NodeFiles } from './node-files.ts'
import type { Revocations } from './revocation/revocations.ts'

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

export class Gate implements Disposable {
  readonly #authenticate: Authenticate
  readonly #rules: KeptFile<AccessRules> | undefined
  readonly #revocations: Revocations
  readonly #resources: Disposable[] = []
  #rulesChanged: (rules: AccessRules) => void = () => {}

  constructor(config: Config, files: NodeFiles, events: Events, revocations: Revocations) {
    this.#revocations = revocations
    const { allowAnonymous } = config
    const keep = <Content>(
      file: GoodFile<Content>,
      changed: (content: Content) => void,
    ): KeptFile<Content> => {
      const kept = keepFile(events, config.limits, file, changed)
      this.#resources.push(kept)
      return kept
    }
    const rate = new LoginRate(config.limits)
    this.#resources.push(rate)
    this.#authenticate = createAuthenticate({
      ways: waysOf(config, files, keep, rate),
      allowAnonymous,
    })
    if (files.rules !== undefined)
      this.#rules = keep(files.rules, (rules) => this.#rulesChanged(rules))
  }

  onRules(handler: (rules: AccessRules) => void): void {
    this.#rulesChanged = handler
  }

  async admit(
    { clientId, certificate, peer, site }: Connection,
    { username, password, willTopic }: Login,
  ): Promise<Admitted | Refused> {
    const names = certificate?.names
    const answer =
      certificate?.identifies === true
        ? (certificateRefusal(certificate, username, clientId) ?? { username: certificate.name })
        : await this.#authenticate({ clientId, username, password, certificate: names, peer, site })
    if (isRefused(answer)) return answer
    const { claims, expiresAt } = answer
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
    for (const file of this.#resources) file[Symbol.dispose]()
  }
}

type Keep = <Content>(
  file: GoodFile<Content>,
  changed: (content: Content) => void,
) => KeptFile<Content>

function waysOf(config: Config, files: NodeFiles, keep: Keep, rate: LoginRate): Authenticator[] {
  const { jwt, authHttpUrl, limits } = config
  const ways: Authenticator[] = []
  if (jwt !== undefined) {
    const keys = files.tokenKeys?.content ?? (jwt.keys as URL)
    ways.push(createTokenAuthenticator({ ...jwt, keys }))
  }
  if (files.passwords !== undefined) {
    const file = keep(files.passwords, () => undefined)
    const passwords = (): PasswordFile => file.current
    const decides = authHttpUrl === undefined
    const way = passwordAuthenticator(passwords, decides, limits.loginChecksMax)
    ways.push(limited(rate, passwordRecall(passwords), way))
  }
  if (authHttpUrl !== undefined) {
    const { authHttpTimeoutMs: timeoutMs, authHttpCacheMs: cacheMs } = limits
    const hook = new HttpHook({ url: authHttpUrl, timeoutMs, cacheMs })
    ways.push(limited(rate, hook.recall, hook.authenticate))
  }
  return ways
}
