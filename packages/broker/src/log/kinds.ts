/** The kinds of log lines: each has a rate of its own, and a label in `breakwater_log_lines_suppressed_total`. */
export interface LogKindRule {
  /** Quieter than the limits: one line in so many ms, of each client or cause. */
  readonly everyMs?: number
  /** Nothing in its lines is chosen by a client: texts may be longer, such as paths of files and what is wrong in them. */
  readonly isOperators?: boolean
}

const KINDS = {
  /** The node starts, is ready, stops. */
  node: { isOperators: true },
  /** Certificates, passwords, rules and other files are read again. */
  files: { isOperators: true },
  'ticket-key': { isOperators: true },
  /** Keys that verify tokens, where they are fetched. */
  'token-keys': { isOperators: true },
  'client-connected': {},
  'connection-closed': {},
  /** Ends that somebody has to look at: level warn or error. */
  'connection-fault': {},
  'connection-refused': {},
  /** In a storm a line per socket would cost more than the socket. */
  'connections-shed': { everyMs: 10_000 },
  'handshake-failed': {},
  'proxy-claims': {},
  'subscription-refused': {},
  'publish-denied': {},
  /** What an operator did by the admin API, and who was closed for it. */
  admin: {},
  /** Begins, lasts and ends by kind of fault, see redis-events.ts. */
  redis: { isOperators: true },
  /** By kind of key; what is in its name is cut like other text of clients. */
  'bad-value': { everyMs: 60_000 },
  /** In an outage every client would have a line of each kind of work. */
  store: { everyMs: 10_000 },
  sessions: {},
  /** Defects of this broker. */
  defect: {},
} as const

export type LogKind = keyof typeof KINDS

/** With their shape checked. */
export const LOG_KINDS: Readonly<Record<LogKind, LogKindRule>> = KINDS

export const logKinds: readonly LogKind[] = Object.keys(LOG_KINDS) as LogKind[]
