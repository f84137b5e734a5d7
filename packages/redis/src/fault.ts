/**
 * What an error of Redis, or of the way to it, means for the person who runs the node: one kind of a closed list,
 * what was said, and what to change. The first rule that fits decides; a cause says more than what wraps it.
 */

export const REDIS_FAULTS = [
  'unreachable',
  'name',
  'timeout',
  'closed',
  'tls',
  'certificate',
  'password',
  'permission',
  'database',
  'unfit',
  'read-only',
  'loading',
  'memory',
  'disk',
  'replicas',
  'cluster',
  'sentinels',
  'other',
] as const
export type RedisFaultKind = (typeof REDIS_FAULTS)[number]

export interface RedisFault {
  readonly kind: RedisFaultKind
  /** The same text for the same fault: it holds nothing that is drawn by lot or counts. */
  readonly text: string
  /** What to do about it; empty where there is nothing to say. */
  readonly advice: string
  /** No waiting mends it: a setting has to change. */
  readonly lasting: boolean
}

interface Rule {
  readonly kind: RedisFaultKind
  /** Codes of errors of the system, of TLS; or what a message begins with, or holds. */
  readonly fits: RegExp
  readonly advice: string
  readonly lasting?: boolean
}

const ADDRESS = 'see that BREAKWATER_REDIS_URL names the host and port of Redis, and that it runs'

const RULES: readonly Rule[] = [
  {
    kind: 'certificate',
    fits: /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET)_\w+|CERT_UNTRUSTED)$/,
    advice:
      'set BREAKWATER_REDIS_CA to the PEM file of the authority that signed the certificate of Redis',
  },
  {
    kind: 'certificate',
    fits: /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|CERT_REVOKED)$/,
    advice: 'renew the certificate of Redis, or correct the clock of this machine',
  },
  {
    kind: 'certificate',
    fits: /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    advice: 'use a host name in BREAKWATER_REDIS_URL that the certificate of Redis names',
  },
  {
    kind: 'certificate',
    fits: /certificate required|bad certificate|unknown ca\b|certificate (expired|unknown|revoked)|^ERR_SSL_\w*(CERT|UNKNOWN_CA)/i,
    advice:
      'Redis refuses the client certificate: set BREAKWATER_REDIS_CERT and BREAKWATER_REDIS_KEY to one that its authority signed',
  },
  {
    kind: 'tls',
    fits: /wrong version number|^ERR_SSL_|^EPROTO$|before secure TLS connection|the server that answers is not Redis/i,
    advice: 'one side speaks TLS and the other does not: use rediss:// for TLS, redis:// without',
  },
  {
    kind: 'closed',
    fits: /closed without an answer|closed before it was open/,
    advice:
      'the server closes new connections: a server that wants TLS does so; use rediss:// there, and see its log and maxclients',
  },
  {
    kind: 'name',
    fits: /^(ENOTFOUND|EAI_\w+)$/,
    advice: 'correct the host in BREAKWATER_REDIS_URL',
  },
  {
    kind: 'unreachable',
    fits: /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|EACCES|EPERM)$/,
    advice: ADDRESS,
  },
  {
    kind: 'timeout',
    fits: /^ETIMEDOUT$|no answer within|no connection within|Command timed out/,
    advice:
      'Redis, or a firewall on the way to it, does not answer: see that the port is open and the server is not overloaded',
  },
  {
    kind: 'password',
    fits: /without any password configured|no password is set/,
    advice:
      'Redis asks for no password: unset BREAKWATER_REDIS_PASSWORD_FILE and the password in BREAKWATER_REDIS_URL, or set requirepass at the server',
  },
  {
    kind: 'password',
    fits: /^(NOAUTH|WRONGPASS)\b|invalid password/,
    advice:
      'correct the user in BREAKWATER_REDIS_URL and the password in BREAKWATER_REDIS_PASSWORD_FILE (BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE for sentinels)',
  },
  {
    kind: 'database',
    fits: /^SELECT \d+: |DB index is out of range|SELECT is not allowed in cluster/,
    advice:
      'use a database in BREAKWATER_REDIS_URL that the server has and the user may select (+select), or none',
    lasting: true,
  },
  {
    kind: 'permission',
    // Within a script it has another text.
    fits: /^NOPERM\b|\bThe user executing the script can't /,
    advice:
      'give the user of BREAKWATER_REDIS_URL the rights in docs/REDIS.md (ACL SETUSER); its ~ and & patterns must begin with BREAKWATER_REDIS_PREFIX',
  },
  {
    kind: 'read-only',
    fits: /^(READONLY|UNBLOCKED)\b/,
    advice:
      'the server is a replica: lead BREAKWATER_REDIS_URL to the master, or use redis-sentinel://',
  },
  { kind: 'loading', fits: /^LOADING\b/, advice: 'it is used as soon as its data is loaded' },
  {
    kind: 'memory',
    fits: /^OOM\b/,
    advice: 'raise maxmemory of Redis, or let sessions and queues expire earlier',
  },
  {
    kind: 'disk',
    fits: /^MISCONF\b/,
    advice: 'Redis cannot write its snapshot or append-only file: see its log and its disk',
  },
  {
    kind: 'replicas',
    fits: /^NOREPLICAS\b|replicas have it/,
    advice: 'bring the replicas back, or lower min-replicas-to-write and BREAKWATER_ACK',
  },
  {
    kind: 'cluster',
    fits: /^(CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK)\b|the cluster is not whole|the cluster has no master|have no master/,
    advice: 'bring back the masters of the missing slots: see CLUSTER INFO at one of its nodes',
  },
  {
    kind: 'sentinels',
    fits: /all sentinels|connect to sentinel/i,
    advice:
      'see that the sentinels in BREAKWATER_REDIS_URL run, that they know the master by that name, and their password (BREAKWATER_REDIS_SENTINEL_PASSWORD_FILE)',
  },
  {
    kind: 'unreachable',
    fits: /^(ECONNRESET|EPIPE|ECONNABORTED)$|Connection is closed|connection lost|no connection|isn't writeable|Connection closed/i,
    advice: ADDRESS,
  },
]

const TEXT_MAX = 200
const CAUSES_MAX = 5

export function faultOf(error: Error): RedisFault {
  const text = textOf(error)
  const causes: (Error & { code?: unknown })[] = []
  for (let cause: unknown = error; cause instanceof Error && causes.length < CAUSES_MAX;) {
    causes.unshift(cause)
    ;({ cause } = cause)
  }
  if (causes.some(({ name }) => name === 'UnfitRedis'))
    return { kind: 'unfit', text, advice: '', lasting: true }
  for (const { message, code } of causes)
    for (const { kind, fits, advice, lasting = false } of RULES)
      if (fits.test(message) || (typeof code === 'string' && fits.test(code)))
        return { kind, text, advice, lasting }
  return { kind: 'other', text, advice: '', lasting: false }
}

/** What the sentinels' connection says of its own waiting, and where in a script something was said. */
const CHANGING =
  / Retrying from scratch after [\d.]+ms\.| script: [0-9a-f]{40}, on @user_script:\d+\.?/g

/** A code where there is one. */
function textOf(error: Error): string {
  const { code } = error as { code?: unknown }
  const text = typeof code === 'string' ? code : error.message.replace(CHANGING, '')
  const [line = ''] = text.split('\n', 1)
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX)}…` : line
}
