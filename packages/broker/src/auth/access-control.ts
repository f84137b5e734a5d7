/**
 * Who gets in, by which client id, and what they may do there. Composition, like node.ts: the ways of logging in, the access rules,
 * and the files that they come from, which may change while the node runs.
 *
 * In: what a client shows with CONNECT. Out: who it is and its permissions, or the reason why not; `onRules`
 * when the rules have changed. Bounds: those of each way, and `filePollMs`.
 */
import {
  fitsClientIdRule,
  type ClientIdRule,
  type Config,
  type ListenerConfig,
} from '@breakwater/config'
import type { ClientCertificate } from '@breakwater/certificates'
import type { AccessRules } from '../access/access-rules.ts'
import { provedValues, type Identity } from '../access/identity.ts'
import { Permissions } from '../access/permissions.ts'
import { isRefused, type Credentials, type Refused } from './answer.ts'
import type { Connection } from '../connection/connection.ts'
import type { Events } from '../observe/events.ts'
import { keepFile, type KeptFile } from '../files/kept-file.ts'
import { LoginWays } from './login-ways.ts'
import type { NodeFiles } from '../files/node-files.ts'
import type { Revocations } from '../revocation/revocations.ts'
import type { WatchedFiles } from '../files/watched-files.ts'

export interface Admitted {
  /** Empty: nobody, an anonymous client. */
  readonly user: string
  /** Undefined: everything. */
  readonly permissions: Permissions | undefined
  /** When the connection must end, ms since the epoch. */
  readonly expiresAt: number | undefined
  /** Whether what it was let in by is still good. */
  readonly holds: () => boolean
}

export interface Login {
  readonly username: string | undefined
  readonly password: Buffer | undefined
  readonly willTopic: string | undefined
}

/** Of the time that a CONNECT may take, the part in which its login may be checked: a session is opened after it. */
const LOGIN_SHARE = 0.8

export class AccessControl implements Disposable {
  readonly #listeners: ReadonlyMap<string, ListenerConfig>
  readonly #rules: KeptFile<AccessRules> | undefined
  readonly #revocations: Revocations
  readonly #ways: LoginWays
  readonly #loginTimeoutMs: number
  readonly #usernameBytesMax: number
  #rulesChanged: (rules: AccessRules) => void = () => {}

  constructor(
    config: Config,
    files: NodeFiles,
    watched: WatchedFiles,
    events: Events,
    revocations: Revocations,
  ) {
    this.#revocations = revocations
    const { listeners, limits } = config
    this.#listeners = new Map(listeners.map((listener) => [listener.name, listener]))
    this.#loginTimeoutMs = limits.connectTimeoutMs * LOGIN_SHARE
    this.#usernameBytesMax = limits.usernameBytesMax
    this.#ways = new LoginWays(config, files, watched, events)
    if (files.rules === undefined) return
    const unbound = listeners.filter(({ clientId }) => !clientId?.variables.length)
    const warn = ({ speakOfClientIds }: AccessRules): void => {
      if (speakOfClientIds && unbound.length > 0)
        events.clientIdsUnbound(unbound.map(({ name }) => name))
    }
    this.#rules = keepFile(events, watched, files.rules, (rules) => {
      warn(rules)
      this.#rulesChanged(rules)
    })
    warn(this.#rules.current)
  }

  onRules(handler: (rules: AccessRules) => void): void {
    this.#rulesChanged = handler
  }

  async admit(connection: Connection, login: Login): Promise<Admitted | Refused> {
    const { clientId, certificate } = connection
    const { anonymous, clientId: binding } = this.#listeners.get(
      connection.listener,
    ) as ListenerConfig
    // A user name of length 0 is none (section 3.1.3.4), and an empty password beside none shows nothing either.
    const username = login.username === '' ? undefined : login.username
    const isEmpty = username === undefined && login.password?.length === 0
    const password = isEmpty ? undefined : login.password
    const names = certificate?.names
    // A resumed session is what the ticket says: only a list that is asked now knows of a revocation.
    const known = this.#revocations.find({ clientId, user: '', certificate })
    if (known !== undefined) return { refused: 'revoked', detail: known.id }
    const answer =
      certificate?.identifies === true
        ? (certificateRefusal(certificate, username) ?? { username: certificate.name })
        : await this.#ways.ask(this.#credentials(connection, username, password), anonymous)
    if (isRefused(answer)) return answer
    const { claims, expiresAt, holds = () => true } = answer
    const nowMs = Date.now()
    if (certificate?.expires === true && certificate.notAfterMs <= nowMs)
      return { refused: 'certificate-expired' }
    if (expiresAt !== undefined && expiresAt <= nowMs) return { refused: 'login-expired' }
    const user = answer.username ?? ''
    const fault = usernameFault(user, this.#usernameBytesMax)
    if (fault !== undefined) return { refused: 'bad-credentials', detail: fault }
    const identity: Identity = {
      clientId,
      username: user === '' ? undefined : user,
      ...(names === undefined ? {} : { certificate: names }),
      ...(claims === undefined ? {} : { claims }),
    }
    if (binding !== undefined && !fitsBinding(binding, identity))
      return { refused: 'client-id-rejected', detail: `it does not fit ${binding.text}` }
    const revocation = this.#revocations.find({ clientId, user, certificate })
    if (revocation !== undefined) return { refused: 'revoked', detail: revocation.id }
    const rules = this.#rules?.current
    const permissions =
      rules === undefined ? undefined : new Permissions(identity, rules, login.willTopic)
    return willRefusal(permissions) ?? { user, permissions, expiresAt, holds }
  }

  /**
   * Asked once more as a session goes live: what let the client in may have changed meanwhile, by rules that
   * walk only over clients that are live.
   */
  refusalNow({ permissions, holds }: Admitted): Refused | undefined {
    if (!holds())
      return { refused: 'bad-credentials', detail: 'what it logged in with is not valid any more' }
    this.renew(permissions)
    return willRefusal(permissions)
  }

  /** Brings what a client may do up to the rules of now. */
  renew(permissions: Permissions | undefined): void {
    if (this.#rules !== undefined) permissions?.renew(this.#rules.current)
  }

  #credentials(
    connection: Connection,
    username: string | undefined,
    password: Buffer | undefined,
  ): Credentials {
    const { clientId, certificate, peer, network, openedAt } = connection
    return {
      clientId,
      username,
      password,
      certificate: certificate?.names,
      peer,
      network,
      client: connection,
      deadlineMs: openedAt + this.#loginTimeoutMs,
    }
  }

  [Symbol.dispose](): void {
    this.#ways[Symbol.dispose]()
    this.#rules?.[Symbol.dispose]()
  }
}

/**
 * Why a client may not be who it says it is, where its certificate says who it is; undefined: welcome. The
 * certificate has proved more than a password could, so none is asked for; but a user name that is another one
 * is a contradiction, and never quietly replaced.
 */
function certificateRefusal(
  { name }: ClientCertificate,
  username: string | undefined,
): Refused | undefined {
  if (name === undefined)
    return { refused: 'not-authorized', detail: 'its certificate holds no name by the rule' }
  if (username !== undefined && username !== name)
    return { refused: 'not-authorized', detail: 'the user name is not that of its certificate' }
  return undefined
}

/**
 * What is wrong with the name that a token, a certificate or the hook gives; that of CONNECT is checked where it is
 * read. In UTF-8 every half of a surrogate pair is the same character, so two such names would be one user
 * [MQTT-1.5.3-1].
 */
function usernameFault(user: string, bytesMax: number): string | undefined {
  const bytes = Buffer.byteLength(user)
  if (bytes > bytesMax) return `a user name of ${bytes} bytes; usernameBytesMax is ${bytesMax}`
  return user.isWellFormed() && !user.includes('\0')
    ? undefined
    : 'a user name that MQTT does not have: it holds a NUL or half of a surrogate pair'
}

function fitsBinding(binding: ClientIdRule, identity: Identity): boolean {
  return fitsClientIdRule(binding, identity.clientId, (variable) =>
    provedValues(variable, identity),
  )
}

function willRefusal(permissions: Permissions | undefined): Refused | undefined {
  const topic = permissions?.deniedWill
  if (topic === undefined) return undefined
  return { refused: 'not-authorized', detail: `it may not publish its will to ${topic}` }
}
