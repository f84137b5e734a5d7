/**
 * G7: when every session has ended, Redis holds nothing of a session; nothing of a node that is gone but what has
 * a lifetime of its own. The keys that may stay are listed here; every other key is a leftover, also an unknown one.
 */
import type { FoundKey } from '../leftovers.ts'
import type { Violation } from './violation.ts'

export interface LeftoverFacts {
  readonly prefix: string
  readonly keys: readonly FoundKey[]
  /** Node ids. */
  readonly alive: readonly string[]
  readonly at: number
}

/**
 * packages/redis/src/keys.ts says why each stays. An inbox of a dead node has its own expiry; a departed node is
 * listed until its clients are adopted, which may be after the end. A node that is killed may leave a client id in
 * the sessions of its user, which goes when that set is full, or has not been added to for long.
 */
const STAYS: readonly RegExp[] = [
  /^v1:\{cluster\}:(?:head|log|log-usage|nodes|leases|generation|departed|format)$/,
  /^v1:\{[^}]+\}:(?:inbox|inbox-bytes)$/,
  /^v1:\{[^}]+\}:writer:/,
  /^v1:\{\d+\}:retained(?:-owners|-usage)?$/,
  /^v1:\{\d+\}:user-(?:sessions|groups):/,
]
const ROUTES = /^v1:\{cluster\}:routes:(.+)$/

export function checkLeftovers({ prefix, keys, alive, at }: LeftoverFacts): Violation[] {
  const violations: Violation[] = []
  const found = (text: string): void => void violations.push({ guarantee: 'G7', text, at })
  for (const { key, entries } of keys) {
    const name = key.startsWith(prefix) ? key.slice(prefix.length) : key
    if (STAYS.some((pattern) => pattern.test(name))) continue
    const routes = ROUTES.exec(name)?.[1]
    if (routes !== undefined && alive.includes(routes)) continue
    if (routes !== undefined) found(`routes of the dead node ${routes} are left`)
    else if (entries.length > 0) found(`${name} still names ${entries.join(', ')}`)
    else found(`${name} is left`)
  }
  return violations
}
