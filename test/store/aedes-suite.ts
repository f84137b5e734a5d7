/**
 * The suite that aedes-persistence publishes for implementations of a persistence, and which of its cases are
 * none of ours. Messages never reach the persistence that aedes is given here: queues, retained messages and
 * QoS 2 are the data plane's, and a will is part of the claim of its client id.
 */
import abstractPersistence, { type CaseContext } from 'aedes-persistence/abstract.js'

export interface Case {
  readonly name: string
  readonly run: (context: CaseContext) => Promise<void>
}

/** All cases of the suite, over what `persistence` makes for each. */
export function aedesCases(persistence: () => Promise<unknown>): readonly Case[] {
  const cases: Case[] = []
  const test = (name: string, run: Case['run']): void => {
    cases.push({ name, run })
  }
  abstractPersistence({ test, testAsync: true, persistence })
  return cases
}

interface Exclusion {
  readonly reason: string
  readonly cases: readonly string[]
}

export const EXCLUSIONS: readonly Exclusion[] = [
  {
    reason:
      'retained messages are stored and replayed by the data plane; aedes gets an empty stream',
    cases: [
      'store and look up retained messages',
      'look up retained messages with a # pattern',
      'look up retained messages with a hello/world/# pattern',
      'look up retained messages with a + pattern',
      'look up retained messages with a + as first element',
      'look up retained messages with +/#',
      'look up retained messages with a + and # pattern with some in between',
      'look up retained messages with multiple patterns',
      'look up retained messages with multiple wildcard patterns',
      'store multiple retained messages in order',
      'remove retained message',
      'storing twice a retained message should keep only the last',
      'Create a new packet while storing a retained message',
    ],
  },
  {
    reason: 'queues of sessions are the data plane’s; aedes is never given a message to enqueue',
    cases: [
      'add outgoing packet and stream it',
      'add outgoing packet for multiple subs and stream to all',
      'add outgoing packet as a string and pump',
      'add outgoing packet as a string and stream',
      'add outgoing packet and stream it twice',
      'add outgoing packet and update messageId',
      'add 2 outgoing packet and clear messageId',
      'add many outgoing packets and clear messageIds',
      'update to publish w/ same messageId',
      'update to pubrel',
      'do not error if unkown messageId in outoingClearMessageId',
    ],
  },
  {
    reason: 'QoS 2 publishes are kept and released by the data plane; aedes never sees one',
    cases: [
      'add incoming packet, get it, and clear with messageId',
      'clean incoming packets',
      'clean incoming packets with no stored packets',
    ],
  },
  {
    reason: 'a will is part of the claim of its client id and is published by the data plane',
    cases: [
      'store, fetch and delete will message',
      'stream all will messages',
      'stream all will message for unknown brokers',
      'delete wills from dead brokers',
    ],
  },
  {
    reason: 'MQTT 5: aedes 1.2 passes no subscription identifier on',
    cases: ['store and look up a subscription with an MQTT 5.0 subscription identifier'],
  },
]
