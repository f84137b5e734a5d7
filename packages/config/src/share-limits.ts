/** What one client, one user and the cluster may take of what all share; limits.ts declares what a limit is. */
export const SHARE_LIMITS = {
  connectionsPerUserMax: {
    unit: 'connections',
    default: 1_000,
    min: 1,
    max: 10_000_000,
    protects:
      'a node against one user, or, of clients without one, one client address or one IPv6 /64, where addresses are known to be real',
    atLimit: 'CONNACK 0x03, closed with `user-connections-full`; nobody who is in is closed for it',
  },
  sessionsPerUserMax: {
    unit: 'sessions',
    default: 1_000,
    min: 1,
    max: 10_000_000,
    protects:
      'the store against one user that makes ever-new sessions; those without a user count for their client address, where addresses are known to be real, and all together otherwise',
    atLimit:
      'a CONNECT that would make another one: CONNACK 0x03, closed with `user-sessions-full`; a stored session is always resumed',
  },
  sharedGroupsPerClientMax: {
    unit: 'groups',
    default: 16,
    min: 0,
    max: 65_535,
    protects:
      'the store, and publishers, against a client in many groups of shared subscriptions: each has a copy of what is published',
    atLimit: 'further `$share` filters get 0x80',
  },
  sharedGroupsPerUserMax: {
    unit: 'groups',
    default: 100,
    min: 0,
    max: 1_000_000,
    protects: 'as sharedGroupsPerClientMax, against all clients of one user in the cluster',
    atLimit:
      'further `$share` filters get 0x80; groups that its other clients are in do not count twice',
  },
  queueBytesPerUserMax: {
    unit: 'bytes',
    default: 67_108_864,
    min: 1_024,
    max: 1_099_511_627_776,
    protects:
      'the store against the sessions of one user: the n-th that is made may have an n-th of it queued, and as much unreleased, but one message of any size; and so may the n-th group of shared subscriptions',
    atLimit: 'as queueMessagesMax, and as inboundQos2BytesMax',
  },
  retainedMessagesMax: {
    unit: 'messages',
    default: 1_000_000,
    min: 16,
    max: 1_000_000_000,
    protects:
      'the store, and the index of every node, against retained messages; topics lie in 16 parts, each of which may have a sixteenth of it',
    atLimit:
      'a PUBLISH that would retain on a further topic has no effect at all: not acknowledged, closed with `retained-full`; a will is sent to its subscribers, and counted as `retained-full`',
  },
  retainedBytesMax: {
    unit: 'bytes',
    default: 1_073_741_824,
    min: 16_384,
    max: 1_099_511_627_776,
    protects: 'the store against retained messages, with their topics; in parts as above',
    atLimit: 'as retainedMessagesMax, for what would be more bytes',
  },
  retainedMessagesPerUserMax: {
    unit: 'messages',
    default: 100_000,
    min: 16,
    max: 1_000_000_000,
    protects:
      'the retained messages of all others against those whose last publisher is one user; in parts as above',
    atLimit: 'as retainedMessagesMax',
  },
  retainedBytesPerUserMax: {
    unit: 'bytes',
    default: 134_217_728,
    min: 16_384,
    max: 1_099_511_627_776,
    protects: 'as retainedMessagesPerUserMax',
    atLimit: 'as retainedBytesMax',
  },
  clusterLogBytesMax: {
    unit: 'bytes',
    default: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
    protects:
      'Redis, and nodes that read it, against the log of changes that nodes tell each other; the value of the node that started last counts',
    atLimit:
      'its oldest entries go; a node that has not read them reads all filters and retained topics from Redis instead, as when it starts',
  },
  inboundQos2BytesMax: {
    unit: 'bytes',
    default: 8_388_608,
    min: 128,
    max: 1_099_511_627_776,
    protects:
      'memory and the store against QoS 2 publishes of one client that are never released (one of any size is always taken)',
    atLimit: 'closed with `receive-maximum-exceeded`',
  },
  inboundQos2BytesPerUserMax: {
    unit: 'bytes',
    default: 67_108_864,
    min: 128,
    max: 1_099_511_627_776,
    protects:
      'memory of a node against QoS 2 publishes that the connections of one user never release',
    atLimit: 'closed with `receive-maximum-exceeded`',
  },
} as const
