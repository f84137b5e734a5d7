/** The metrics of the admin server; catalog.ts says what a metric is. */
export const ADMIN_METRICS = {
  admin_requests_total: {
    type: 'counter',
    unit: 'requests',
    help: 'Requests to /api/v1 that were answered: done, denied for want of the token, invalid, or failed',
    labels: { result: ['ok', 'denied', 'invalid', 'error'] },
  },

  admin_changes_total: {
    type: 'counter',
    unit: 'changes',
    help: 'What was changed by /api/v1 at this node',
    labels: {
      change: [
        'client-closed',
        'session-ended',
        'retained-cleared',
        'revocation-added',
        'revocation-removed',
      ],
    },
  },
  admin_connections: {
    type: 'gauge',
    unit: 'connections',
    help: 'Open connections of the admin server',
    labels: {},
  },
  admin_refused_total: {
    type: 'counter',
    unit: 'connections',
    help: 'Connections of the admin server that made room for others (full, address-full: or requests answered 503), were not accepted (burst), or ended with a request that came too slowly or was malformed',
    labels: { reason: ['full', 'address-full', 'burst', 'slow', 'malformed'] },
  },
} as const
