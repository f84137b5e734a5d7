/** The series of logins: checks that wait, and keys of tokens; catalog.ts declares what a series is. */
export const LOGIN_METRICS = {
  logins_waiting: {
    type: 'gauge',
    unit: 'logins',
    help: 'Logins that wait to be checked: for a password hash, or to be asked of the HTTP hook',
    labels: { kind: ['password', 'http'] },
  },
  logins_waiting_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'What these logins hold',
    labels: { kind: ['password', 'http'] },
  },
  login_wait_seconds: {
    type: 'histogram',
    unit: 'seconds',
    help: 'From a CONNECT whose login must be checked to the begin of the check',
    labels: { kind: ['password', 'http'] },
  },
  logins_dropped_total: {
    type: 'counter',
    unit: 'logins',
    help: 'Logins that were not checked: the client left, its turn did not come in time, or the queue was full',
    labels: { kind: ['password', 'http'], reason: ['left', 'late', 'full'] },
  },
  login_lots_won_total: {
    type: 'counter',
    unit: 'logins',
    help: 'Logins that found the queue full and drew a place in it; those that lost are dropped as full',
    labels: { kind: ['password', 'http'] },
  },
  jwt_keys_age_seconds: {
    type: 'gauge',
    unit: 'seconds',
    help: 'How long ago the keys of tokens that are in use were fetched; at jwtKeysAgeMaxMs they are not used any more; absent where they come from a file',
    labels: {},
    initial: 'absent',
  },
  jwt_keys_fetches_total: {
    type: 'counter',
    unit: 'fetches',
    help: 'Fetches of the keys of tokens, by result',
    labels: { result: ['ok', 'error'] },
  },
} as const
