/** Which kind of key of keys.ts a name is, and what type Redis says that it has. */

export type RedisType = 'string' | 'hash' | 'set' | 'zset' | 'stream'

type TypedKind =
  | 'session'
  | 'queue'
  | 'release'
  | 'inbound'
  | 'shared'
  | 'shared-queue'
  | 'shared-members'
  | 'filters'
  | 'sessions'
  | 'user-groups'
  | 'user-sessions'
  | 'retained'
  | 'retained-owners'
  | 'retained-usage'
  | 'owners'
  | 'wills'
  | 'imported'
  | 'imported-topics'
  | 'writer'
  | 'inbox'
  | 'inbox-bytes'
  | 'head'
  | 'log'
  | 'log-usage'
  | 'nodes'
  | 'leases'
  | 'departed'
  | 'generation'
  | 'format'
  | 'import'
  | 'revocations'
  | 'routes'
  | 'tickets'

/** Of a kind; `import` is the one of the cluster. */
export const redisTypes: Readonly<Record<TypedKind, RedisType>> = {
  session: 'hash',
  queue: 'stream',
  release: 'hash',
  inbound: 'hash',
  shared: 'hash',
  'shared-queue': 'stream',
  'shared-members': 'set',
  filters: 'hash',
  sessions: 'zset',
  'user-groups': 'zset',
  'user-sessions': 'zset',
  retained: 'hash',
  'retained-owners': 'hash',
  'retained-usage': 'hash',
  owners: 'hash',
  wills: 'hash',
  imported: 'set',
  'imported-topics': 'set',
  writer: 'string',
  inbox: 'stream',
  'inbox-bytes': 'hash',
  head: 'string',
  log: 'stream',
  'log-usage': 'hash',
  nodes: 'hash',
  leases: 'zset',
  departed: 'zset',
  generation: 'string',
  format: 'string',
  import: 'string',
  revocations: 'hash',
  routes: 'set',
  tickets: 'hash',
}

/** Messages of a channel may be unreadable, too, and kinds that a later version adds. */
export type RedisKeyKind = TypedKind | 'notices' | 'other'

export const redisKeyKinds: readonly RedisKeyKind[] = [
  ...(Object.keys(redisTypes) as TypedKind[]),
  'notices',
  'other',
]

const NAME = /v1:\{(?<tag>[^}]*)\}:(?<kind>[a-z-]+)/

/** `type` is undefined for what is no key of ours, and for channels. */
export function kindOfKey(key: string): {
  readonly kind: RedisKeyKind
  readonly type: RedisType | undefined
} {
  const { tag, kind = '' } = NAME.exec(key)?.groups ?? {}
  if (kind === 'import' && tag !== 'cluster') return { kind, type: 'stream' }
  if (Object.hasOwn(redisTypes, kind))
    return { kind: kind as TypedKind, type: redisTypes[kind as TypedKind] }
  return { kind: kind === 'notices' ? kind : 'other', type: undefined }
}
