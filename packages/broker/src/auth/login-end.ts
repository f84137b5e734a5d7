/** When a login ends, as those say it who vouch for the client: a token (`exp`), the HTTP hook (`expiresAt`). */

/** The last moment that a date can name (ECMA-262, 21.4.1.1). */
const DATE_MAX_MS = 8.64e15

/** Seconds since the epoch → ms; undefined for what names no moment since then. */
export function loginEnd(seconds: unknown): number | undefined {
  if (typeof seconds !== 'number' || !(seconds > 0)) return undefined
  const endMs = seconds * 1_000
  return endMs <= DATE_MAX_MS ? endMs : undefined
}
