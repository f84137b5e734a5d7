/**
 * Where Redis is, out of one URL:
 *
 *   redis://host:6379/0                         one server; rediss:// over TLS
 *   redis-sentinel://host1,host2:26379/name/0   the master that the sentinels name; rediss-sentinel:// over TLS
 *   redis-cluster://host1,host2:6379            the cluster that these belong to; rediss-cluster:// over TLS
 *
 * with `user:password@` before the hosts, if any. Nothing else: what is not read here is refused, since whoever
 * wrote it believes that it has an effect.
 */
export interface RedisHost {
  readonly host: string
  readonly port: number
}

export interface RedisAddress {
  readonly tls: boolean
  /** One server, or all sentinels, or nodes of the cluster, that are known. */
  readonly hosts: readonly RedisHost[]
  /** What the sentinels call the master; undefined for one server and for a cluster. */
  readonly master: string | undefined
  /** The hosts are nodes of a Redis Cluster. */
  readonly cluster: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
}

const SCHEMES: readonly string[] = ['', '-sentinel', '-cluster'].flatMap((form) => [
  `redis${form}`,
  `rediss${form}`,
])
const FORM =
  /^[a-z-]+:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?#@]+)(?:\/(?<path>[^?#]*))?(?<rest>[?#].*)?$/
const HOST = /^(?<host>\[[0-9a-f:.]+\]|[^:[\]\s]+)(?::(?<port>\d{1,5}))?$/i
const NO_URL =
  'is not a URL such as redis://host:6379; characters like @ / # in a password are %-encoded'
const SERVER_PORT = 6_379
const SENTINEL_PORT = 26_379
const PORT_MAX = 65_535

/** @throws {Error} what is wrong, in words that go on from "BREAKWATER_REDIS_URL: "; never repeats the URL */
export function parseRedisAddress(url: string): RedisAddress {
  const scheme = /^([a-z][a-z+.-]*):\/\//i.exec(url)?.[1]
  if (scheme !== undefined && !SCHEMES.includes(scheme))
    throw new Error(`must start with ${SCHEMES.map((name) => `${name}://`).join(' or ')}`)
  const parts = FORM.exec(url)?.groups
  if (parts === undefined) throw new Error(NO_URL)
  const { user = '', password, hosts = '', path = '', rest } = parts
  if (rest !== undefined) throw new Error(excess(rest))
  // Most likely a password with an @ or a / in it.
  if (path.includes('@')) throw new Error(NO_URL)
  const sentinel = scheme?.endsWith('-sentinel') === true
  const cluster = scheme?.endsWith('-cluster') === true
  const [first = '', second = '', ...more] = path.split('/')
  if (more.length > 0 || (!sentinel && second !== ''))
    throw new Error('has more behind the database; it ends with it, such as redis://host:6379/3')
  if (sentinel && first === '')
    throw new Error('needs the name of the master, such as redis-sentinel://host1,host2/mymaster')
  const names = hosts.split(',')
  if (!sentinel && !cluster && names.length > 1)
    throw new Error(
      'names several hosts: use redis-sentinel://host1,host2/mymaster or redis-cluster://host1,host2',
    )
  const places = names.map((name) => parseHost(name, sentinel ? SENTINEL_PORT : SERVER_PORT))
  const database = parseDatabase(sentinel ? second : first)
  if (cluster && database !== 0)
    throw new Error('names a database, but a Redis Cluster has only database 0')
  return {
    tls: scheme?.startsWith('rediss') === true,
    hosts: places,
    master: sentinel ? decode(first) : undefined,
    cluster,
    username: user === '' ? undefined : decode(user),
    password: password === undefined ? undefined : decode(password),
    database,
  }
}

/** What comes behind the path. Values may be secret, names of parameters are not. */
function excess(rest: string): string {
  if (rest.startsWith('#')) return NO_URL
  const names = rest.slice(1).split('#', 1)[0]?.split('&') ?? []
  const [name = ''] = names.map((pair) => pair.split('=', 1)[0] ?? '')
  const known = /^[a-z]{1,24}$/i.test(name) ? ` (${name})` : ''
  return (
    `has parameters behind a question mark${known}, which are not read: ` +
    'the database is the path, such as redis://host:6379/3; user and password stand before the host; ' +
    'a question mark in a password is %3F'
  )
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const { host, port } = HOST.exec(text)?.groups ?? {}
  // Most likely a password that begins the path.
  if (host === undefined) throw new Error(NO_URL)
  if (Number(port ?? 1) > PORT_MAX || Number(port ?? 1) < 1)
    throw new Error('needs a host, such as redis://127.0.0.1:6379')
  return {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: port === undefined ? defaultPort : Number(port),
  }
}

function parseDatabase(text: string): number {
  if (text === '') return 0
  if (!/^\d{1,5}$/.test(text)) throw new Error('names a database that is not a number')
  return Number(text)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new Error('holds a % that encodes nothing', { cause })
  }
}

/** The address without credentials and query, for messages and logs. */
export function redactUrl(url: string): string {
  return url.replace(/^([a-z-]+:\/\/)(?:.*@)?([^?#]*).*$/s, '$1$2')
}
