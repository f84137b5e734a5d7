/** The limits of admission and of failed logins; limits.ts declares what a limit is. */
export const ADMISSION_LIMITS = {
  connectionsMax: {
    unit: 'connections',
    default: 0,
    min: 0,
    max: 10_000_000,
    protects:
      'open files for Redis and the node itself (0 = as many as the limit on open files leaves, less 512)',
    atLimit: 'a new socket is closed with `connections-full`; nobody who is in is closed for it',
  },
  handshakesMax: {
    unit: 'connections',
    default: 1_000,
    min: 1,
    max: 10_000_000,
    protects: 'memory against sockets in a PROXY header, TLS or a WebSocket',
    atLimit: 'further sockets are held: nothing is read of them',
  },
  unansweredMax: {
    unit: 'connections',
    default: 2_000,
    min: 1,
    max: 10_000_000,
    protects: 'memory, the store and those who check logins, before CONNACK (handshakes included)',
    atLimit: 'further sockets are held: nothing is read of them',
  },
  beginsPerTurnMax: {
    unit: 'connections',
    default: 4,
    min: 1,
    max: 10_000_000,
    protects: 'those who are in against a crowd: handshakes begun in one turn of the event loop',
    atLimit: 'further sockets are held until the next turn',
  },
  connectsPerSecondMax: {
    unit: 'per second',
    default: 0,
    min: 0,
    max: 1_000_000,
    protects: 'Redis and the services behind a node against a crowd (0 = no limit)',
    atLimit: 'further sockets are held until tokens are back',
  },
  connectsPerAddressPerSecondMax: {
    unit: 'per second',
    default: 100,
    min: 0,
    max: 1_000_000,
    protects:
      'everybody against one client address, or one IPv6 /64, where addresses are known to be real (0 = no limit)',
    atLimit: 'closed with `address-rate`',
  },
  heldMax: {
    unit: 'connections',
    default: 4_096,
    min: 1,
    max: 10_000_000,
    protects: 'memory against sockets that wait to be begun with',
    atLimit: 'a new socket is closed with `held-full`',
  },
  heldTimeoutMs: {
    unit: 'ms',
    default: 5_000,
    min: 10,
    max: 600_000,
    protects: 'clients against waiting for a node that does not get to them',
    atLimit: 'closed with `held-too-long`',
  },
  loopDelayMaxMs: {
    unit: 'ms',
    default: 1_000,
    min: 10,
    max: 600_000,
    protects:
      'those who are in: the lateness of the event loop, five times in a row, at which nobody else is let in',
    atLimit: 'a new socket is closed with `overloaded`',
  },
  failedLoginsPerUserPerMinuteMax: {
    unit: 'per minute',
    default: 30,
    min: 0,
    max: 1_000_000,
    protects: 'passwords of a user against guessing (0 = no limit)',
    atLimit:
      'its tries wait, and `throttledLoginsPerSecondMax` of them are checked, drawn by lot; what was right before gets in all the same',
  },
  failedLoginsPerAddressPerMinuteMax: {
    unit: 'per minute',
    default: 300,
    min: 0,
    max: 1_000_000,
    protects:
      'passwords against guessing by one client address, or one IPv6 /64, where addresses are known to be real (0 = no limit)',
    atLimit: 'as failedLoginsPerUserPerMinuteMax',
  },
  throttledLoginsPerSecondMax: {
    unit: 'per second',
    default: 2,
    min: 1,
    max: 1_000,
    protects: 'the right owner of a user name whose tokens somebody else has used up',
    atLimit:
      'the others wait for the next second; whoever is not drawn in time: CONNACK 0x03, closed with `login-rate`',
  },
  loginChecksMax: {
    unit: 'logins',
    default: 2,
    min: 1,
    max: 1_000,
    protects:
      'cores of a node, and the four threads that also look up names and read files, against passwords that are checked at once',
    atLimit: 'further logins wait for their turn; what was right before gets in at once',
  },
  loginsWaitingMax: {
    unit: 'logins',
    default: 1_000,
    min: 1,
    max: 100_000,
    protects: 'memory, and places of `unansweredMax`, against logins that wait to be checked',
    atLimit:
      'the login whose turn would come last is refused; if that is the new one, it draws lots: CONNACK 0x03, closed with `logins-full`',
  },
  loginsWaitingBytesMax: {
    unit: 'bytes',
    default: 4_194_304,
    min: 16_384,
    max: 1_073_741_824,
    protects: 'memory against logins that wait to be checked',
    atLimit: 'as loginsWaitingMax',
  },
} as const
