/**
 * One claim of a client id by one connection, from its CONNECT to the last thing that is left of it, as a total
 * table: what happens in which state [MQTT-3.1.4-2].
 *
 * | state | meaning |
 * |---|---|
 * | claiming | the store is asked for an epoch |
 * | waiting | the former owner is asked to let go |
 * | opening | the store is asked for the session: from its answer on the former owner is fenced |
 * | open | the owner |
 * | ending | a higher epoch has asked for it: finishes what it has received, then its connection is closed |
 * | ousted | a higher epoch has the session already: its connection is being closed |
 * | lingering | the connection is lost, its will waits for the client to come back |
 * | publishing | its will is being stored everywhere |
 * | abandoned, yielding, closing | as claiming, waiting and opening, but the connection has ended meanwhile: the former owner lets go all the same, for whoever comes next |
 * | gone | nothing is left; whoever waits for that is told |
 *
 * A connection ends by itself in three ways: `left` (nothing is to be said), `lost` (its will is due) and `kept`
 * (the node stops, its will is another node's business). An event that is missing in a row changes nothing there.
 */
const OWNERSHIP_EVENTS = [
  /** The store gave an epoch, and somebody had the client id before. */
  'claimed',
  /** The store gave the session. */
  'opened',
  /** The store gave neither. */
  'refused',
  /** The former owner has let go, or is not waited for any longer. */
  'released',
  /** A higher epoch asks for the client id. */
  'superseded',
  /** The store says that a higher epoch has it. */
  'fenced',
  'left',
  'lost',
  'kept',
  /** The time in which the client could come back is over. */
  'due',
  /** The will is stored everywhere. */
  'published',
  /** It could not be. */
  'unpublished',
] as const

export type OwnershipEvent = (typeof OWNERSHIP_EVENTS)[number]

export type OwnershipState =
  | 'claiming'
  | 'waiting'
  | 'opening'
  | 'open'
  | 'ending'
  | 'ousted'
  | 'lingering'
  | 'publishing'
  | 'abandoned'
  | 'yielding'
  | 'closing'
  | 'gone'

/**
 * `leave` tells the store that the client is gone, which is silent where it has a later owner. `close` ends the
 * connection as it is, `end` when what it has received has taken effect.
 */
export type OwnershipAction =
  | 'nothing'
  | 'ask'
  | 'open'
  | 'grant'
  | 'fail'
  | 'end'
  | 'close'
  | 'linger'
  | 'retry'
  | 'publish'
  | 'leave'

interface OwnershipStep {
  readonly action: OwnershipAction
  readonly next: OwnershipState
}

type Row = Readonly<Record<OwnershipEvent, OwnershipStep>>

function row(
  state: OwnershipState,
  steps: Partial<Record<OwnershipEvent, readonly [OwnershipAction, OwnershipState]>>,
): Row {
  const entries = OWNERSHIP_EVENTS.map((event) => {
    const [action, next] = steps[event] ?? ['nothing', state]
    return [event, { action, next }]
  })
  return Object.fromEntries(entries) as Row
}

export const OWNERSHIP: Readonly<Record<OwnershipState, Row>> = {
  // A higher epoch that is heard of now is dealt with as soon as the own one is known.
  claiming: row('claiming', {
    claimed: ['ask', 'waiting'],
    opened: ['grant', 'open'],
    refused: ['fail', 'gone'],
    left: ['nothing', 'abandoned'],
    lost: ['nothing', 'abandoned'],
    kept: ['nothing', 'abandoned'],
  }),
  waiting: row('waiting', {
    released: ['open', 'opening'],
    superseded: ['close', 'yielding'],
    fenced: ['close', 'yielding'],
    left: ['nothing', 'yielding'],
    lost: ['nothing', 'yielding'],
    kept: ['nothing', 'yielding'],
  }),
  opening: row('opening', {
    opened: ['grant', 'open'],
    refused: ['fail', 'gone'],
    superseded: ['close', 'closing'],
    fenced: ['close', 'closing'],
    left: ['nothing', 'closing'],
    lost: ['nothing', 'closing'],
    kept: ['nothing', 'closing'],
  }),
  open: row('open', {
    superseded: ['end', 'ending'],
    fenced: ['close', 'ousted'],
    left: ['leave', 'gone'],
    lost: ['linger', 'lingering'],
    kept: ['nothing', 'gone'],
  }),
  // Whoever has asked waits: the will comes before the client's next words.
  ending: row('ending', {
    fenced: ['close', 'ousted'],
    left: ['leave', 'gone'],
    lost: ['publish', 'publishing'],
    kept: ['publish', 'publishing'],
  }),
  // Nobody has waited: a will would come behind the client's next words.
  ousted: row('ousted', {
    left: ['nothing', 'gone'],
    lost: ['nothing', 'gone'],
    kept: ['nothing', 'gone'],
  }),
  // The client is back: its claim has taken the place of the will.
  lingering: row('lingering', {
    superseded: ['nothing', 'gone'],
    fenced: ['nothing', 'gone'],
    kept: ['nothing', 'gone'],
    due: ['publish', 'publishing'],
  }),
  publishing: row('publishing', {
    published: ['leave', 'gone'],
    unpublished: ['retry', 'lingering'],
  }),
  abandoned: row('abandoned', {
    claimed: ['ask', 'yielding'],
    opened: ['leave', 'gone'],
    refused: ['nothing', 'gone'],
  }),
  yielding: row('yielding', {
    released: ['leave', 'gone'],
  }),
  closing: row('closing', {
    opened: ['leave', 'gone'],
    refused: ['leave', 'gone'],
  }),
  gone: row('gone', {}),
}
