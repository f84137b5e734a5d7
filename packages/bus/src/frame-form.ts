/** The numbers of the binary form of a frame, see frame.ts. */

export const NUMBER_BYTES = 6
export const KIND_BYTES: number = 1 + 4
export const LENGTHS_BYTES: number = 2 + 4
export const TEXT_BYTES = 2
export const DOUBLE_BYTES = 8
export const HASH_BYTES = 4
export const PLACE_BYTES: number = 1 + NUMBER_BYTES + DOUBLE_BYTES + TEXT_BYTES

/** Bits of a kind that is a message. */
export const QOS = 3
export const RETAIN = 4
export const PLACES = 8
export const EXTRAS = 16
export const PASSED_ON = 32
export const SHARED = 64

/** What there is of extras. */
export const EXPIRES = 1
export const PROPERTIES = 2
export const EXTRAS_BYTES_MAX: number = 1 + NUMBER_BYTES + 4

/** Kinds that are none. */
export const CONFIRMED = 128
export const ASSIGNED = 129
export const RUN = 130
