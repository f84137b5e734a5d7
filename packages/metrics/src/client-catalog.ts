/** The series of bounds that clients reach without being closed; catalog.ts declares what a series is. */
export const CLIENT_METRICS = {
  filters_refused_total: {
    type: 'counter',
    unit: 'filters',
    help: 'Filters that were refused with SUBACK 0x80, or taken from a session that was resumed, by reason; one that a SUBSCRIBE names twice counts once',
    labels: {
      reason: [
        'malformed-share',
        'too-long',
        'too-deep',
        'filters-full',
        'filter-bytes-full',
        'groups-full',
        'user-groups-full',
        'shapes-full',
        'denied',
        'denied-unasked',
      ],
    },
  },
  read_pauses_total: {
    type: 'counter',
    unit: 'pauses',
    help: 'Times that a connection was not read for a while because its client had reached a bound: controlPacketsPerSecondMax or controlBytesPerSecondMax, a publish rate, inboundMessagesMax or 1 MiB of publishes that wait for the store, or what waits to leave for other nodes',
    labels: { reason: ['control-rate', 'publish-rate', 'inbound-full', 'bus-full'] },
  },
} as const

/** Why a filter of a SUBSCRIBE is refused with 0x80. */
export const FILTER_REFUSALS: typeof CLIENT_METRICS.filters_refused_total.labels.reason =
  CLIENT_METRICS.filters_refused_total.labels.reason

export type FilterRefusal = (typeof FILTER_REFUSALS)[number]

/** Why a connection is not read for a while. */
export const READ_PAUSES: typeof CLIENT_METRICS.read_pauses_total.labels.reason =
  CLIENT_METRICS.read_pauses_total.labels.reason

export type ReadPause = (typeof READ_PAUSES)[number]
