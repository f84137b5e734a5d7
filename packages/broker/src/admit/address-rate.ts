/**
 * Connects per second of one client address, or of one network of a site where the protocol gives each site
 * many: IPv4 /32, IPv6 /64.
 *
 * In: sites (`networkOf`) of addresses that are the clients' own. Bounds: ADDRESSES_MAX buckets; the one that was used longest ago
 * goes first, and whoever it belonged to begins anew.
 */
import { isIPv6 } from 'node:net'
import { TokenBucket } from './token-bucket.ts'

const ADDRESSES_MAX = 16_384
const GROUPS = 8
const SITE_GROUPS = 4

export class AddressRate {
  readonly #perSecond: number
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Whether there is a token; then it is taken. */
  takes(network: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(network) ?? TokenBucket.of(this.#perSecond)
    if (bucket === undefined) return true
    this.#buckets.delete(network)
    this.#buckets.set(network, bucket)
    if (this.#buckets.size > ADDRESSES_MAX) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    return bucket.takeIfAny(nowMs)
  }
}

/** `2001:db8::1` → `2001:db8:0:0`; `::ffff:10.1.2.3`, `0:0:0:0:0:ffff:a01:203` and `10.1.2.3` → `10.1.2.3`. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const groups = groupsOf(address.replace(/%.*$/, ''))
  return isMapped(groups)
    ? groups.slice(-2).flatMap(octetsOf).join('.')
    : groups
        .slice(0, SITE_GROUPS)
        .map((group) => group.toString(16))
        .join(':')
}

/** The eight of an address, which may be shortened and may end like one of IPv4. */
function groupsOf(address: string): number[] {
  const [head = [], tail = []] = address.split('::').map((part) =>
    part
      .split(/:/)
      .filter((text) => text !== '')
      .flatMap((text) => (text.includes('.') ? pairsOf(text) : [Number.parseInt(text, 16)])),
  )
  const zeros = Array.from({ length: GROUPS - head.length - tail.length }, () => 0)
  return [...head, ...zeros, ...tail]
}

function pairsOf(quad: string): number[] {
  const [a, b, c, d] = quad.split('.').map(Number) as [number, number, number, number]
  return [a * 256 + b, c * 256 + d]
}

function octetsOf(group: number): number[] {
  return [group >> 8, group & 0xff]
}

/** An address of IPv4 in the form of IPv6 (RFC 4291, section 2.5.5.2). */
function isMapped(groups: readonly number[]): boolean {
  return groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
}
