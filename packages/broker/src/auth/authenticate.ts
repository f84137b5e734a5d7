/**
 * Who may connect. The ways of logging in are asked in turn: token, password file, HTTP hook; the first answer
 * counts. Who shows no credentials, or some that nobody knows, gets in only where anonymous clients are
 * allowed; someone who shows credentials to a node that can check them must be right also there.
 *
 * A client whose certificate says who it is is not asked for more (certificate-rules.ts).
 */
import type { Answer, Authenticator, Credentials, Recall } from './answer.ts'
import type { LoginRate } from './login-rate.ts'
import type { PasswordFile } from './password-file.ts'

export type Authenticate = (credentials: Credentials) => Promise<Answer>

export interface AuthenticateOptions {
  /** In the order in which they are asked. */
  readonly ways: readonly Authenticator[]
  readonly allowAnonymous: boolean
}

export function createAuthenticate({ ways, allowAnonymous }: AuthenticateOptions): Authenticate {
  return async (credentials) => {
    for (const way of ways) {
      const answer = await way(credentials)
      if (answer !== undefined) return answer
    }
    const { username } = credentials
    if (username === undefined)
      return allowAnonymous ? { username: undefined } : { refused: 'not-authorized' }
    return allowAnonymous && ways.length === 0 ? { username } : { refused: 'bad-credentials' }
  }
}

/** A way of logging in whose secrets could be guessed: what is not recalled is checked as the rate allows. */
export function limited(rate: LoginRate, recall: Recall, way: Authenticator): Authenticator {
  return async (credentials) => {
    const { username, site } = credentials
    if (username === undefined) return way(credentials)
    return recall(credentials) ?? rate.ask({ username, site }, () => way(credentials))
  }
}

/**
 * The password file as a way of logging in. `decides`: nobody is asked after it, so a user that it does not
 * know is wrong, and finds that out no sooner than one with a wrong password. Each check takes a core for
 * a while: beyond `checksMax` at once the answer is that the server is busy.
 */
export function passwordAuthenticator(
  passwords: () => PasswordFile,
  decides: boolean,
  checksMax: number,
): Authenticator {
  let checks = 0
  return async ({ username, password = Buffer.alloc(0) }) => {
    if (username === undefined) return undefined
    if (!decides && !passwords().has(username)) return undefined
    if (checks >= checksMax) return { refused: 'login-rate', detail: `${checks} checks at once` }
    checks += 1
    const right = await passwords()
      .verify(username, password)
      .finally(() => {
        checks -= 1
      })
    return right ? { username } : { refused: 'bad-credentials' }
  }
}

/** Right passwords that the file has seen are recalled without a check. */
export function passwordRecall(passwords: () => PasswordFile): Recall {
  return ({ username, password = Buffer.alloc(0) }) =>
    username !== undefined && passwords().recalls(username, password) ? { username } : undefined
}
