/**
 * Connects per second of one client address, or of one network of a site where the protocol gives each site
 * many: IPv4 /32, IPv6 /64.
 *
 * In: sites (`siteOf`) of addresses that are the clients' own. Bounds: ADDRESSES_MAX buckets; the one that was used longest ago
 * goes first, and whoever it belonged to begins anew.
 */
import { isIPv6 } from 'node:net'
import { TokenBucket } from '../route/token-bucket.ts'

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
  takes(site: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(site) ?? TokenBucket.of(this.#perSecond)
    if (bucket === undefined) return true
    this.#buckets.delete(site)
    this.#buckets.set(site, bucket)
    if (this.#buckets.size > ADDRESSES_MAX) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    return bucket.takeIfAny(nowMs)
  }
}

/** `2001:db8::1` → `2001:db8:0:0`; `::ffff:10.1.2.3` and `10.1.2.3` → `10.1.2.3`. */
export function siteOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (!isIPv6(plain)) return plain
  const [left = '', right] = plain.toLowerCase().replace(/%.*$/, '').split('::')
  const head = left === '' ? [] : left.split(':')
  const tail = right === undefined || right === '' ? [] : right.split(':')
  const zeros = right === undefined ? 0 : Math.max(0, GROUPS - head.length - tail.length)
  return [...head, ...Array.from({ length: zeros }, () => '0'), ...tail]
    .slice(0, SITE_GROUPS)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
