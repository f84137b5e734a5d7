import type { CloseReasonId } from '../close-reason.ts'
import type { PasswordFile } from './password-file.ts'

interface Credentials {
  readonly username: string | undefined
  readonly password: Buffer | undefined
}

/** Undefined: welcome. Otherwise why not. */
export type Authenticate = (credentials: Credentials) => Promise<CloseReasonId | undefined>

/**
 * Who may connect: users of the password file, and clients without credentials if they are allowed. Someone
 * who shows credentials must be right, also where anonymous clients are allowed.
 */
export function createAuthenticate(
  passwords: PasswordFile | undefined,
  allowAnonymous: boolean,
): Authenticate {
  return async ({ username, password }) => {
    if (username === undefined) return allowAnonymous ? undefined : 'not-authorized'
    if (passwords === undefined) return allowAnonymous ? undefined : 'bad-credentials'
    const right = await passwords.verify(username, password ?? Buffer.alloc(0))
    return right ? undefined : 'bad-credentials'
  }
}
