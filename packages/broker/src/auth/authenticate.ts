/**
 * Who may connect. The ways of logging in are asked in turn: token, password file, HTTP hook; the first answer
 * counts. Who shows no credentials, or some that nobody knows, gets in only where anonymous clients are
 * allowed; someone who shows credentials to a node that can check them must be right also there.
 *
 * A client whose certificate says who it is is not asked for more (certificate-rules.ts).
 */
import type { Answer, Authenticator, Credentials } from './answer.ts'

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
