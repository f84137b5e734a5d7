/** Mistakes that the harness must find, each by the promise that it breaks. */
import type { GuaranteeId } from './check/violation.ts'
import type { FaultKind } from './fault-plan.ts'

export interface Edit {
  /** Below packages/. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Mutation {
  readonly name: string
  readonly edits: readonly Edit[]
  readonly breaks: GuaranteeId
  /** What makes it show. */
  readonly faults: readonly FaultKind[]
}

const LANE = 'broker/src/route/publish-lane.ts'
const WRITES = 'store/src/scripts/write-scripts.ts'
const QUEUES = 'store/src/scripts/queue-scripts.ts'
const OUTBOUND = 'broker/src/deliver/stored-outbound.ts'

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'acknowledges before it has stored',
    breaks: 'G1',
    faults: ['kill-stalled-node', 'kill-node', 'client-drop'],
    edits: [
      {
        file: LANE,
        find: 'const entry = this.#enqueue({ packet, qos: message.qos, packetId, message }, false)',
        replace:
          'const entry = this.#enqueue({ packet, qos: message.qos, packetId, message }, false)\n' +
          '    this.#acknowledge(entry)',
      },
      {
        file: LANE,
        find: 'this.#acknowledge(entry)\n      if (entry.message',
        replace:
          'if (entry.effects === undefined) this.#acknowledge(entry)\n      if (entry.message',
      },
    ],
  },
  {
    name: 'loses one append in 1,000',
    breaks: 'G1',
    faults: ['client-drop', 'client-replies-lost'],
    edits: [
      {
        file: QUEUES,
        find: "return redis.pcall('XADD', queue, '0-' .. last, 'm', message)",
        replace:
          "if last % 1000 ~= 0 then return redis.pcall('XADD', queue, '0-' .. last, 'm', message) end",
      },
    ],
  },
  {
    name: 'does not check the epoch of an acknowledgement',
    breaks: 'G3',
    faults: ['fenced-take-over', 'client-drop'],
    edits: [
      {
        file: WRITES,
        find: 'if found[1] ~= ARGV[1] then return ${FENCED} end',
        replace: '',
      },
    ],
  },
  {
    name: 'forgets DUP',
    breaks: 'G6',
    faults: ['client-drop', 'client-half-open'],
    edits: [
      {
        file: OUTBOUND,
        find: 'duplicate: position <= this.#sentBefore',
        replace: 'duplicate: false',
      },
    ],
  },
  {
    name: 'gives other packet ids on resume',
    breaks: 'G6',
    faults: ['client-drop', 'client-half-open'],
    edits: [
      {
        file: 'store/src/store.ts',
        find: 'return ((position - 1) % (SHARED_PACKET_ID_MIN - 1)) + 1',
        replace: 'return ((position + process.pid - 1) % (SHARED_PACKET_ID_MIN - 1)) + 1',
      },
    ],
  },
  {
    name: 'tells no node of a retained topic',
    breaks: 'G1',
    faults: ['client-drop'],
    edits: [
      {
        file: 'broker/src/retained/retained-topics.ts',
        find: 'return retainedChanged || unannounced',
        replace: 'return false && (retainedChanged || unannounced)',
      },
    ],
  },
  {
    name: 'publishes no will of a node that died',
    breaks: 'G8',
    faults: ['client-drop'],
    edits: [
      {
        file: 'broker/src/session/adoption.ts',
        find: 'await ownership.adopt(clients)',
        replace: 'await Promise.resolve(clients.length)',
      },
    ],
  },
  {
    name: 'hands on nothing of a member that is gone',
    breaks: 'G13',
    faults: ['client-drop', 'client-half-open'],
    edits: [
      {
        file: 'broker/src/shared/shared-outbound.ts',
        find: 'queue.returned(sent.map(({ entry }) => entry))',
        replace: 'for (const { entry } of sent) queue.finished(entry)',
      },
    ],
  },
]
