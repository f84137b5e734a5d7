/**
 * The clients of a round, and the faults with their times: everything that chance decides about a round,
 * drawn from its seed before it begins. What the machine makes of it still differs from run to run.
 */
import type { QoS } from '../kit/wire-encoder.ts'
import { drawFaults, type FaultKind, type FaultStep } from './fault-plan.ts'
import { randomOf, type Random } from './random.ts'

export const NODE_NAMES = ['a', 'b', 'c'] as const

export interface DevicePlan {
  readonly id: string
  readonly clean: boolean
  readonly tls: boolean
  readonly filters: readonly (readonly [filter: string, qos: QoS])[]
  /** QoS of what it publishes, one after the other; none: it publishes nothing. */
  readonly publishes: readonly QoS[]
  readonly topics: readonly string[]
  readonly messagesPerSecond: number
  /** One of this number of messages is retained; 0: none. */
  readonly retainEvery: number
  /** How long it thinks before it acknowledges what it gets. */
  readonly answerDelayMs: number
}

export interface RoundPlan {
  readonly seed: number
  readonly faultsMs: number
  readonly devices: readonly DevicePlan[]
  /** Clients that connect after the last fault, one at each node, to read retained messages. */
  readonly late: readonly DevicePlan[]
  readonly faults: readonly FaultStep[]
}

export interface PlanOptions {
  readonly seed: number
  /** How long faults are injected; what follows takes as long as it needs. */
  readonly seconds: number
  /** Default: all. */
  readonly kinds?: readonly FaultKind[]
}

/** The maximum of each; the load of a round is meant to leave two cores some idle time. */
const PUBLISHERS = 5
const SUBSCRIBERS = 9
const TOPICS = ['t/0', 't/1', 't/2', 't/3'] as const
const FILTERS = [...TOPICS, 't/+', 't/#', '+/2', '#'] as const
const SHARED_FILTERS = ['t/#', 't/1', '+/2'] as const
const GHOSTS = 2
/** What most devices are: persistent, without TLS, publishing nothing. */
const QUIET = {
  clean: false,
  tls: false,
  filters: [],
  publishes: [],
  topics: [],
  messagesPerSecond: 0,
  retainEvery: 0,
  answerDelayMs: 0,
} as const
const RATES = [10, 20, 40] as const
/** Long enough that a connection which ends has something unanswered. */
const ANSWER_DELAYS_MS = [0, 50, 200, 400] as const

export function drawPlan({ seed, seconds, kinds }: PlanOptions): RoundPlan {
  const random = randomOf(seed, 'devices')
  const devices = [
    ...publishers(random),
    ...subscribers(random),
    ...movers(random),
    ...members(random),
    ...ghosts(random),
  ]
  const faultsMs = seconds * 1_000
  const faults = drawFaults(randomOf(seed, 'faults'), {
    faultsMs,
    nodes: NODE_NAMES.length,
    clients: devices.map(({ id }) => id),
    persistent: devices.filter(({ clean }) => !clean).map(({ id }) => id),
    subscribers: devices.filter(({ filters }) => filters.length > 0).map(({ id }) => id),
    ...(kinds === undefined ? {} : { kinds }),
  })
  return { seed, faultsMs, devices, late: lateReaders(), faults }
}

function publishers(random: Random): DevicePlan[] {
  const qos: readonly (readonly QoS[])[] = [[1], [2], [0, 1], [1, 2], [0, 1, 2]]
  return Array.from({ length: PUBLISHERS }, (_, index) => ({
    id: `pub-${index}`,
    // What a clean publisher has under way at the end of a connection, it gives up.
    clean: index % 2 === 0 ? random.chance(0.5) : false,
    tls: index === 0,
    filters: [],
    publishes: qos[index % qos.length] as readonly QoS[],
    topics: index % 2 === 0 ? [TOPICS[index % TOPICS.length] as string] : TOPICS,
    messagesPerSecond: random.pick(RATES),
    retainEvery: index === 3 ? 10 : 0,
    answerDelayMs: 0,
  }))
}

function subscribers(random: Random): DevicePlan[] {
  return Array.from({ length: SUBSCRIBERS }, (_, index) => {
    const qos = index === 0 ? 0 : random.integer(1, 2)
    return {
      id: `sub-${index}`,
      clean: index % 3 === 0,
      tls: index === 1,
      filters: filtersOf(random, qos as QoS),
      publishes: [],
      topics: [],
      messagesPerSecond: 0,
      retainEvery: 0,
      answerDelayMs: random.pick(ANSWER_DELAYS_MS),
    }
  })
}

/** One or two, not overlapping: what two filters of one client get at once is left to the broker. */
function filtersOf(random: Random, qos: QoS): [string, QoS][] {
  const first = random.pick(FILTERS)
  const exact = TOPICS.filter((topic) => topic !== first)
  const two = TOPICS.includes(first as (typeof TOPICS)[number]) && random.chance(0.5)
  return two
    ? [
        [first, qos],
        [random.pick(exact), 1],
      ]
    : [[first, qos]]
}

/** Persistent, publishing to each other, and slow to acknowledge: these clients take over and are taken over. */
function movers(random: Random): DevicePlan[] {
  return Array.from({ length: 2 }, (_, index) => ({
    id: `mover-${index}`,
    clean: false,
    tls: false,
    filters: [[`m/${1 - index}`, (index + 1) as QoS]],
    publishes: [1, 2],
    topics: [`m/${index}`],
    messagesPerSecond: random.integer(10, 30),
    retainEvery: 0,
    answerDelayMs: random.integer(50, 200),
  }))
}

/** Members of one shared subscription, and of nothing else: every message that they get is from the group. */
function members(random: Random): DevicePlan[] {
  const filter = `$share/crew/${random.pick(SHARED_FILTERS)}`
  return Array.from({ length: 3 }, (_, index) => ({
    ...QUIET,
    id: `member-${index}`,
    clean: index === 2,
    filters: [[filter, random.integer(1, 2) as QoS]],
    answerDelayMs: random.pick(ANSWER_DELAYS_MS),
  }))
}

/** Clients that publish to the topic of their will and disconnect at the end; and a subscriber of that topic. */
function ghosts(random: Random): DevicePlan[] {
  const ghost = (index: number): DevicePlan => ({
    ...QUIET,
    id: `ghost-${index}`,
    clean: true,
    publishes: [1],
    topics: [`w/ghost-${index}`],
    messagesPerSecond: random.integer(4, 10),
  })
  const listener: DevicePlan = { ...QUIET, id: 'mourner', filters: [['w/+', 1]] }
  return [...Array.from({ length: GHOSTS }, (_, index) => ghost(index)), listener]
}

function lateReaders(): DevicePlan[] {
  return NODE_NAMES.map((node) => ({
    ...QUIET,
    id: `late-${node}`,
    clean: true,
    filters: [['#', 1]],
  }))
}
