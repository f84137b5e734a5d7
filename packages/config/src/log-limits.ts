/** The limits of the log; limits.ts declares what a limit is. */
export const LOG_LIMITS = {
  logTextBytesMax: {
    unit: 'bytes',
    default: 256,
    min: 64,
    max: 65_535,
    protects: 'the log against texts that clients choose, such as client ids, topics and filters',
    atLimit: 'the text is cut; what is left ends with `…` and the number of bytes it had',
  },
  logLinesPerSecondMax: {
    unit: 'per second',
    default: 100,
    min: 0,
    max: 1_000_000,
    protects: 'the node and whatever keeps its log against a flood of one kind (0 = no limit)',
    atLimit:
      'further lines of that kind are not written, but counted in `breakwater_log_lines_suppressed_total` and told by a line each `logSummaryMs`',
  },
  logLinesPerClientPerSecondMax: {
    unit: 'per second',
    default: 10,
    min: 0,
    max: 1_000_000,
    protects: 'the lines of all other clients against those of one client (0 = no limit)',
    atLimit: 'as logLinesPerSecondMax, for lines of that kind about that client',
  },
  logSummaryMs: {
    unit: 'ms',
    default: 60_000,
    min: 100,
    max: 3_600_000,
    protects: 'an operator against lines that are missing without a word',
    atLimit:
      'one line per kind says how many were suppressed since the last one, and of how many clients',
  },
  logBufferBytesMax: {
    unit: 'bytes',
    default: 1_048_576,
    min: 16_384,
    max: 1_073_741_824,
    protects: 'memory of a node against a standard output that nobody reads',
    atLimit:
      'further lines are dropped and counted in `breakwater_log_lines_dropped_total`; the last eighth is kept for lines of level error',
  },
} as const
