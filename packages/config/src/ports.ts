/** Whether two addresses to listen on are one port of this machine. */
export interface ListenAddress {
  readonly name: string
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
}

const ANY = new Set(['0.0.0.0', '::'])
const LOOPBACK = new Set(['127.0.0.1', '::1'])

/** The first two that are. */
export function sharedPort<Address extends ListenAddress>(
  addresses: readonly Address[],
): readonly [Address, Address] | undefined {
  for (const [index, other] of addresses.entries()) {
    const one = addresses.slice(0, index).find((earlier) => overlap(earlier, other))
    if (one !== undefined) return [one, other]
  }
  return undefined
}

function overlap(one: ListenAddress, other: ListenAddress): boolean {
  if (one.port !== other.port || one.port === 0) return false
  const hosts = [canonical(one.host), canonical(other.host)] as const
  const [a, b] = hosts
  if (a === b || hosts.some((host) => host === '::')) return true
  if (hosts.includes('localhost')) return hosts.some((host) => ANY.has(host) || LOOPBACK.has(host))
  // 0.0.0.0 is every address of IPv4, and none of IPv6.
  return hosts.includes('0.0.0.0') && !hosts.some((host) => host.includes(':'))
}

/** As the system understands it: `127.1` is 127.0.0.1, `0` is 0.0.0.0, `::ffff:127.0.0.1` is 127.0.0.1. */
function canonical(host: string): string {
  const url = `http://${host.includes(':') ? `[${host}]` : host}`
  if (!URL.canParse(url)) return host.toLowerCase()
  const name = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  const [, high = '', low = ''] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(name) ?? []
  if (low === '') return name
  const bytes = [high, low].flatMap((part) => {
    const value = Number.parseInt(part, 16)
    return [value >> 8, value & 255]
  })
  return bytes.join('.')
}
