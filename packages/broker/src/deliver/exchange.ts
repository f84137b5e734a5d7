/**
 * QoS 1 and 2 exchanges as total tables: what each packet does in each state [MQTT 3.1.1, section 4.3].
 *
 * Outgoing (this broker sends PUBLISH), per packet id:
 *
 * | state | PUBACK | PUBREC | PUBCOMP |
 * |---|---|---|---|
 * | free | – | answer PUBREL | – |
 * | awaiting PUBACK | settle → free | close | close |
 * | awaiting PUBREC | close | release, PUBREL → awaiting PUBCOMP | close |
 * | awaiting PUBCOMP | close | answer PUBREL | complete → free |
 *
 * What is for nothing is ignored, since it may be late or come twice. What does not fit the message that has this
 * packet id is a protocol violation: ignored, it would keep its place in the window for as long as the
 * connection. Those that inflight.ts takes for late ones are excused.
 *
 * Incoming QoS 2 (the client sends PUBLISH), per packet id:
 *
 * | state | PUBLISH | PUBREL |
 * |---|---|---|
 * | free | store, PUBREC → received | answer PUBCOMP |
 * | received | answer PUBREC | fan out, PUBCOMP → free |
 */
export type OutgoingState = 'free' | 'awaiting-puback' | 'awaiting-pubrec' | 'awaiting-pubcomp'
export type OutgoingPacket = 'puback' | 'pubrec' | 'pubcomp'
export type OutgoingAction =
  | 'ignore'
  | 'settle'
  | 'release'
  | 'answer-pubrel'
  | 'complete'
  | 'close'

export interface OutgoingStep {
  readonly action: OutgoingAction
  readonly next: OutgoingState
}

const ignoreIn = (next: OutgoingState): OutgoingStep => ({ action: 'ignore', next })
const closeIn = (next: OutgoingState): OutgoingStep => ({ action: 'close', next })

export const OUTGOING: Readonly<
  Record<OutgoingState, Readonly<Record<OutgoingPacket, OutgoingStep>>>
> = {
  free: {
    puback: ignoreIn('free'),
    // The client remembers an exchange that is finished here: let it finish too.
    pubrec: { action: 'answer-pubrel', next: 'free' },
    pubcomp: ignoreIn('free'),
  },
  'awaiting-puback': {
    puback: { action: 'settle', next: 'free' },
    pubrec: closeIn('awaiting-puback'),
    pubcomp: closeIn('awaiting-puback'),
  },
  'awaiting-pubrec': {
    puback: closeIn('awaiting-pubrec'),
    pubrec: { action: 'release', next: 'awaiting-pubcomp' },
    pubcomp: closeIn('awaiting-pubrec'),
  },
  'awaiting-pubcomp': {
    puback: closeIn('awaiting-pubcomp'),
    pubrec: { action: 'answer-pubrel', next: 'awaiting-pubcomp' },
    pubcomp: { action: 'complete', next: 'free' },
  },
}

export type IncomingState = 'free' | 'received'
export type IncomingPacket = 'publish' | 'pubrel'
export type IncomingAction = 'store' | 'answer-pubrec' | 'fan-out' | 'answer-pubcomp'

export interface IncomingStep {
  readonly action: IncomingAction
  readonly next: IncomingState
}

export const INCOMING: Readonly<
  Record<IncomingState, Readonly<Record<IncomingPacket, IncomingStep>>>
> = {
  free: {
    publish: { action: 'store', next: 'received' },
    pubrel: { action: 'answer-pubcomp', next: 'free' },
  },
  received: {
    publish: { action: 'answer-pubrec', next: 'received' },
    pubrel: { action: 'fan-out', next: 'free' },
  },
}
