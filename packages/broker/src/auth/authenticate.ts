/**
 * Who may connect. The ways of logging in are asked in turn: token, password file, HTTP hook; the first answer
 * counts. Where none has one, a client that shows nothing is let in if its listener allows that, and is nobody
 * then; one that shows a user name or a password which nothing can check is refused everywhere.
 *
 * A client whose certificate says who it is is not asked for more (certificate-rules.ts).
 */
import type { Answer, Authenticator, Credentials } from './answer.ts'

export type Authenticate = (credentials: Credentials, allowAnonymous: boolean) => Promise<Answer>

/** @param ways in the order in which they are asked */
export function createAuthenticate(ways: readonly Authenticator[]): Authenticate {
  return async (credentials, allowAnonymous) => {
    for (const way of ways) {
      const answer = await way(credentials)
      if (answer !== undefined) return answer
    }
    if (showsCredentials(credentials))
      return ways.length === 0
        ? { refused: 'bad-credentials', detail: 'this node has nothing to check credentials with' }
        : { refused: 'bad-credentials' }
    return allowAnonymous ? { username: undefined } : { refused: 'not-authorized' }
  }
}

function showsCredentials({ username, password }: Credentials): boolean {
  return username !== undefined || password !== undefined
}
