/** The limits of the admin server, and of what it stores; limits.ts declares what a limit is. */
export const ADMIN_LIMITS = {
  revocationsBytesMax: {
    unit: 'bytes',
    default: 16_777_216,
    min: 1_024,
    max: 1_073_741_824,
    protects: 'memory of the nodes and the store against revocations of long names',
    atLimit: 'as revocationsMax',
  },
  adminConnectionsMax: {
    unit: 'connections',
    default: 256,
    min: 1,
    max: 100_000,
    protects: 'open files and the event loop against those who ask the admin server',
    atLimit:
      'the connections that have been idle for longest are closed; where each has a request under way, further requests are answered 503. Probes are answered all the same',
  },
  adminConnectionsPerAddressMax: {
    unit: 'connections',
    default: 64,
    min: 1,
    max: 100_000,
    protects: 'those who ask the admin server against one address',
    atLimit: 'as adminConnectionsMax, of this address alone',
  },
  adminIdleTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 100,
    max: 600_000,
    protects: 'connections of the admin server against clients that ask nothing',
    atLimit: 'the connection is closed',
  },
  adminRequestTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 100,
    max: 600_000,
    protects: 'connections of the admin server against requests that never come to their end',
    atLimit: 'answered 408, and the connection is closed',
  },
} as const
