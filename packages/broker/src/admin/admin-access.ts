/**
 * Who may ask the admin API. In: a request. Out: why not, or nothing. Where a token file is set, everybody needs
 * its token. Where none is, this machine may read, and nobody may change anything.
 *
 * "This machine" is the remote address of the connection: 127.0.0.0/8 and ::1. A page in a browser here can
 * reach those too, by a name of its own that it points at them, so the `Host` must be an address or localhost.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { ConfigError } from '@breakwater/config'
import { ApiError } from './api-answer.ts'

const TOKEN_CHARACTERS_MIN = 16
const SETTING = 'BREAKWATER_ADMIN_TOKEN_FILE'
const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Of the token, so that it is nowhere in memory for longer than needed, and all are compared at one length. */
export type TokenDigest = Buffer

/** @throws {ConfigError} it is none */
export function parseAdminToken(text: string, path: string): TokenDigest {
  const token = text.trim()
  if (!/^[\x21-\x7e]+$/.test(token) || token.length < TOKEN_CHARACTERS_MIN)
    throw new ConfigError(
      `${SETTING}: ${path} must hold one token of at least ${TOKEN_CHARACTERS_MIN} characters without white space; make it with openssl rand -hex 32`,
    )
  return digestOf(token)
}

type AccessRequest = Pick<IncomingMessage, 'method' | 'headers'> & {
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/** @throws {ApiError} 401 or 403, with what to do about it */
export function checkAccess(
  { method = '', headers, socket }: AccessRequest,
  token: TokenDigest | undefined,
): void {
  if (token !== undefined) {
    const [, given] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
    if (given !== undefined && timingSafeEqual(digestOf(given), token)) return
    const why = given === undefined ? 'a token is needed' : 'this is not the token'
    throw new ApiError(401, `${why}: send Authorization: Bearer …`, {
      'www-authenticate': 'Bearer',
    })
  }
  if (!isLoopback(socket.remoteAddress) || !isLocalName(headers.host))
    throw new ApiError(403, `only this machine may ask without a token; set ${SETTING}`)
  if (method !== 'GET' && method !== 'HEAD')
    throw new ApiError(403, `nothing can be changed without a token; set ${SETTING}`)
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  // An IPv4 address mapped into IPv6 is found among those of IPv4.
  return LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function isLocalName(host = ''): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || isIP(name) !== 0
}

function digestOf(token: string): TokenDigest {
  return createHash('sha256').update(token).digest()
}
