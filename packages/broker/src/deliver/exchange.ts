/**
 * QoS 1 and 2 exchanges as total tables: what each packet does in each state [MQTT 3.1.1, section 4.3].
 *
 * Outgoing (this broker sends PUBLISH), per packet id:
 *
 * | state | PUBACK | PUBREC | PUBCOMP |
 * |---|---|---|---|
 * | free | – | answer PUBREL | – |
 * | awaiting PUBACK | settle → free | – | – |
 * | awaiting PUBREC | – | release, PUBREL → awaiting PUBCOMP | – |
 * | awaiting PUBCOMP | – | answer PUBREL | complete → free |
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
export type OutgoingAction = 'ignore' | 'settle' | 'release' | 'answer-pubrel' | 'complete'

export interface OutgoingStep {
  readonly action: OutgoingAction
  readonly next: OutgoingState
}

const ignoreIn = (next: OutgoingState): OutgoingStep => ({ action: 'ignore', next })

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
    pubrec: ignoreIn('awaiting-puback'),
    pubcomp: ignoreIn('awaiting-puback'),
  },
  'awaiting-pubrec': {
    puback: ignoreIn('awaiting-pubrec'),
    pubrec: { action: 'release', next: 'awaiting-pubcomp' },
    pubcomp: ignoreIn('awaiting-pubrec'),
  },
  'awaiting-pubcomp': {
    puback: ignoreIn('awaiting-pubcomp'),
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
