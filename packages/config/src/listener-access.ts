/** Whom a listener lets in without credentials, and whether it lets in anybody at all. */
import { isIPv4 } from 'node:net'
import type { ClientIdRule } from './client-id-rule.ts'
import type { IdentityVariable } from './identity-variable.ts'
import type { ListenerTls } from './listener-tls.ts'

/** What is known of one listener before that is decided. */
interface ListenerFacts {
  readonly host: string
  readonly tls: ListenerTls | undefined
  readonly proxies: readonly string[] | undefined
  /** What its URL says, or the common setting; undefined: neither does. */
  readonly anonymous: boolean | undefined
}

export interface LoginFacts {
  /** One node, nothing but memory. */
  readonly embedded: boolean
  /** Whether a password file, tokens or a hook can say who a client is. */
  readonly logins: boolean
  /** Whether one of them tells claims: tokens or a hook. */
  readonly claims: boolean
}

/**
 * Whether anonymous clients may come to a listener. Unless somebody has said so: only from this machine, and only
 * where nothing at all says who a client is.
 */
export function allowsAnonymous(
  { host, proxies, anonymous }: ListenerFacts,
  { embedded, logins }: LoginFacts,
  listeners: readonly ListenerFacts[],
): boolean {
  if (anonymous !== undefined) return anonymous
  const identifies = logins || listeners.some(hasIdentity)
  // Behind a proxy the whole world comes from this machine.
  return embedded && !identifies && isLoopback(host) && proxies === undefined
}

function hasIdentity({ tls }: Pick<ListenerFacts, 'tls'>): boolean {
  return tls?.identity !== undefined
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/**
 * A listener that can let nobody in is a mistake: nothing says who a client is, and clients without credentials
 * are refused, or can have no client id.
 *
 * @throws what `fail` makes: one line that names the listener
 */
export function checkAccess(
  { name, host, port, anonymous, clientId, tls }: Access,
  facts: LoginFacts,
  fail: (setting: 'passwordFile' | 'clientId', why: string) => Error,
): void {
  const where = `${name} (${host}:${port})`
  const identifies = facts.logins || hasIdentity({ tls })
  if (!identifies && !anonymous)
    throw fail(
      'passwordFile',
      `nobody could connect at ${where}: give a file made with \`breakwater passwd FILE USER\`, or allow ` +
        'clients without credentials: anonymous=true at this listener, or BREAKWATER_ALLOW_ANONYMOUS=true',
    )
  const unknown = clientId?.variables.find((variable) => !mayHave(variable, tls, facts))
  if (unknown === undefined) return
  const clients = identifies ? 'its clients' : 'clients without credentials'
  throw fail(
    'clientId',
    `nobody could connect at ${where}: ${clients} have no \${${unknown}} for client-id=${clientId?.text}; ` +
      'say client-id=any, or a text for all of them such as client-id=guest-*',
  )
}

/** Whether a client of a listener could have a value for a variable of its rule for client ids. */
function mayHave(
  variable: IdentityVariable,
  tls: ListenerTls | undefined,
  { logins, claims }: LoginFacts,
): boolean {
  const identity = tls?.identity
  if (variable.startsWith('cert.')) return tls !== undefined && tls.clientAuth !== 'none'
  if (variable.startsWith('identity.')) {
    const group = variable.slice('identity.'.length)
    // The group `name` is the user name.
    return group !== 'name' && identity?.pattern?.source.includes(`(?<${group}>`) === true
  }
  // Whoever must show a certificate that makes a name logs in with nothing else.
  const asksLogins = identity === undefined || tls?.clientAuth === 'optional'
  if (variable.startsWith('jwt.')) return claims && asksLogins
  return logins || identity !== undefined
}

interface Access {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly anonymous: boolean
  readonly clientId: ClientIdRule | undefined
  readonly tls: ListenerTls | undefined
}
