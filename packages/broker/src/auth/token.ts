/**
 * A JSON Web Token as the password (RFC 7519). Keys come from a JWKS file or URL; signatures are asymmetric,
 * so that who can verify cannot sign. The token must end (`exp`), and with it ends the connection.
 *
 * A token that names no key is tried with each that fits (RFC 7515, appendix D). One whose key is not known is
 * wrong only when keys that were asked for after it came do not hold it either; where these cannot be had, nobody
 * can tell. A password that does not look like a token is somebody else's. Bounds: those of CONNECT, of
 * `jwks.ts` and of `token-keys.ts`.
 */
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyOptions,
} from 'jose'
import type { Answer, Authenticator } from './answer.ts'
import { TOKEN_ALGORITHMS } from './jwks.ts'
import { loginEnd } from './login-end.ts'
import type { TokenKeys, TokenKeySource } from './token-keys.ts'

export interface TokenOptions {
  readonly keys: TokenKeySource
  readonly audience: string | undefined
  readonly issuer: string | undefined
  /** The claim that holds the user name. */
  readonly usernameClaim: string
}

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/
const CLOCK_TOLERANCE_S = 5

export function createTokenAuthenticator(options: TokenOptions): Authenticator {
  const { keys, audience, issuer, usernameClaim } = options
  const checks: JWTVerifyOptions = {
    algorithms: [...TOKEN_ALGORITHMS],
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['exp', usernameClaim],
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  }
  return async ({ username, password, deadlineMs }) => {
    const token = password?.toString('latin1') ?? ''
    if (!TOKEN.test(token) || !hasHeader(token)) return undefined
    const cameAt = performance.now()
    for (;;) {
      const known = keys.current
      const said =
        known === undefined ? new errors.JWKSNoMatchingKey() : await verify(token, known, checks)
      if (!(said instanceof Error)) return identityIn(said, username, usernameClaim)
      // Of a key, not of the token: that is no fault of the client.
      if (!(said instanceof errors.JOSEError)) return unavailable(said.message)
      const isFinal = known !== undefined && (known.askedAt >= cameAt || hasEnded(token))
      if (isFinal || !mayNewerKeysVerify(token, said)) return refused(said.message)
      const why = await keys.renew(deadlineMs)
      if (why !== undefined) return unavailable(why)
    }
  }
}

/** A password may have dots: what begins with no header is none of a token. */
function hasHeader(token: string): boolean {
  try {
    return typeof decodeProtectedHeader(token).alg === 'string'
  } catch {
    return false
  }
}

/** What it says, or why it is not believed. */
async function verify(
  token: string,
  { find }: TokenKeys,
  checks: JWTVerifyOptions,
): Promise<JWTPayload | Error> {
  try {
    return (await jwtVerify(token, find, checks)).payload
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return error as Error
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, checks)).payload
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) return failure as Error
      }
    }
    return new errors.JWSSignatureVerificationFailed()
  }
}

/** It names a key that is not known, or none and fits no known one. */
function mayNewerKeysVerify(token: string, error: errors.JOSEError): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true
  if (!(error instanceof errors.JWSSignatureVerificationFailed)) return false
  return decodeProtectedHeader(token).kid === undefined
}

/** By its own word, whoever has signed it: no keys are fetched for it. */
function hasEnded(token: string): boolean {
  try {
    const { exp } = decodeJwt(token)
    return typeof exp === 'number' && exp * 1_000 <= Date.now()
  } catch {
    return true
  }
}

function identityIn(
  payload: JWTPayload,
  username: string | undefined,
  usernameClaim: string,
): Answer {
  const name = payload[usernameClaim]
  if (typeof name !== 'string' || name === '')
    return refused(`the claim ${usernameClaim} is not a string`)
  // MQTT 3.1.1 has no password without a user name; one that says another name is a mistake.
  if (username !== undefined && username !== name)
    return refused(`the user name is not that of the claim ${usernameClaim}`)
  const expiresAt = loginEnd(payload.exp)
  if (expiresAt === undefined) return refused('the claim exp is not a date')
  return { username: name, claims: payload, expiresAt }
}

function refused(detail: string): Answer {
  return { refused: 'bad-credentials', detail }
}

function unavailable(detail: string): Answer {
  return { refused: 'authentication-unavailable', detail }
}
