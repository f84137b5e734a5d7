/** What one client, one user and the cluster may take of what all share; limits.ts declares what a limit is. */
export const SHARE_LIMITS = {
  inboundQos2BytesMax: {
    unit: 'bytes',
    default: 8_388_608,
    min: 128,
    max: 1_099_511_627_776,
    protects:
      'memory and the store against QoS 2 publishes of one client that are never released (one of any size is always taken)',
    atLimit: 'closed with `receive-maximum-exceeded`',
  },
} as const
