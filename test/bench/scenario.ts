/** What is measured: publishers and subscribers, the load, and the goals. */
import type { FleetInput, Qos } from '@breakwater/simulator'
import { type Goal, GOALS } from './goal.ts'

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly secure: boolean
  readonly load: Pick<
    FleetInput,
    'pattern' | 'devices' | 'qos' | 'payloadBytes' | 'saturate' | 'window' | 'rate'
  >
  readonly goals: readonly Goal[]
  /** Part of `--quick`. */
  readonly quick: boolean
}

interface Variation {
  readonly qos?: Qos
  readonly secure?: boolean
  readonly payloadBytes?: 64 | 1024
  readonly goals?: readonly Goal[]
  readonly quick?: boolean
}

type Shape = (variation?: Variation) => Scenario

/** Saturated: as many messages as come back; the name says what differs from QoS 0, plain, 64 B. */
function shape(
  name: string,
  title: string,
  load: (payloadBytes: number) => Scenario['load'],
): Shape {
  return ({ qos = 0, secure = false, payloadBytes = 64, goals = [], quick = false } = {}) => ({
    name: [name, `qos${qos}`, payloadBytes === 64 ? '' : '1k', secure ? 'tls' : '']
      .filter((part) => part !== '')
      .join('-'),
    title: `${title}, QoS ${qos}, ${payloadBytes === 64 ? '64 B' : '1 KiB'}${secure ? ', TLS' : ''}`,
    secure,
    load: { ...load(payloadBytes), qos, payloadBytes },
    goals,
    quick,
  })
}

const pairs = shape('pairs', '20 pairs', () => ({
  pattern: 'pairs',
  devices: 40,
  saturate: true,
  window: 64,
}))

// What is outstanding goes to one subscriber: it has to stay below that subscriber's bounds (10,000
// messages and 1 MiB at Breakwater), or QoS 0 is dropped, rightly.
const fanIn = shape('fan-in', '200 → 1', (payloadBytes) => ({
  pattern: 'fan-in',
  devices: 200,
  saturate: true,
  window: payloadBytes === 64 ? 16 : 4,
}))

const fanOut = shape('fan-out', '1 → 200', () => ({
  pattern: 'fan-out',
  devices: 200,
  saturate: true,
  window: 64,
}))

const steady = shape('steady', '200 pairs at 10,000 msg/s', () => ({
  pattern: 'pairs',
  devices: 400,
  rate: 10_000,
}))

/** Those first that another program on the machine disturbs most. */
export const SCENARIOS: readonly Scenario[] = [
  steady({ goals: GOALS.steady, quick: true }),
  steady({ qos: 1 }),
  steady({ secure: true }),
  pairs({ goals: GOALS.saturated, quick: true }),
  pairs({ payloadBytes: 1024 }),
  pairs({ qos: 1, goals: GOALS.acknowledged, quick: true }),
  pairs({ qos: 1, payloadBytes: 1024 }),
  pairs({ qos: 2, quick: true }),
  pairs({ secure: true, goals: GOALS.secure, quick: true }),
  pairs({ secure: true, payloadBytes: 1024 }),
  pairs({ qos: 1, secure: true }),
  fanIn({ goals: GOALS.saturated, quick: true }),
  fanIn({ payloadBytes: 1024 }),
  fanIn({ qos: 1 }),
  fanIn({ secure: true }),
  fanOut({ goals: GOALS.saturated, quick: true }),
  fanOut({ payloadBytes: 1024 }),
  fanOut({ qos: 1 }),
  fanOut({ secure: true }),
]
