/**
 * How fast a node that stops lets go of its clients: so many with each tick. The ticks come at random distances,
 * TICK_MS apart on average, so that two nodes that stop together do not beat in time.
 */
export const TICK_MS = 20
/** What a late tick may make up for. */
const MADE_UP_MS_MAX = 5 * TICK_MS

export interface Time {
  /** Since the tick before. */
  readonly sinceMs: number
  /** Until all clients are to have had their turn. */
  readonly leftMs: number
}

/**
 * Clients whose turn has come with this tick. A tick that comes late makes up for it only where the rate would
 * not do in the time that is left.
 *
 * @param left clients that have had no turn yet
 */
export function clientsDue(left: number, time: Time, clientsPerSecond: number): number {
  const { leftMs } = time
  if (leftMs <= TICK_MS) return left
  const asked = (clientsPerSecond / 1_000) * TICK_MS
  const needed = (left / leftMs) * Math.min(MADE_UP_MS_MAX, Math.max(TICK_MS, time.sinceMs))
  return Math.min(left, Math.ceil(Math.max(asked, needed)))
}
