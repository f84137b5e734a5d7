/** Several certificates at one listener: which of them a client is shown for the host that it names (SNI). */
import type { X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'

/** Undefined: no certificate is for this name, the first one is shown. */
export type HostContexts = (host: string) => SecureContext | undefined

/** Names come from the certificates themselves; of two with the same name the first is shown. */
export function hostContexts(
  certificates: readonly (readonly [X509Certificate, SecureContext])[],
): HostContexts {
  const contexts = new Map<string, SecureContext>()
  for (const [{ subjectAltName = '' }, context] of certificates)
    for (const [, name = ''] of subjectAltName.matchAll(/(?:^|, )DNS:([^,\s"]+)/g))
      if (!contexts.has(name.toLowerCase())) contexts.set(name.toLowerCase(), context)
  return (host) => {
    const name = host.toLowerCase()
    // A wildcard stands for one label (RFC 6125, section 6.4.3).
    return contexts.get(name) ?? contexts.get(name.replace(/^[^.]+/, '*'))
  }
}
