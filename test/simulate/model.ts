/**
 * What a cluster of any size needs, from the measured unit costs. Analytic: devices and their subscribers are
 * spread evenly, so every node is in the same state, and that of one is found.
 *
 * A node takes what has come since its last turn of the event loop as one batch, so the batch grows with the load
 * and what a turn costs is shared by more. Each turn sends one frame to every other node for which it has
 * something: with many nodes a frame carries few messages. That is the part that grows with nodes².
 */
import type { PerNode, Share, UnitCosts } from './unit-costs.ts'

export interface Deployment {
  readonly nodes: number
  /** Published in the whole cluster; each message has one subscriber, at any node. */
  readonly messagesPerSecond: number
  /** 1: the subscribers have stored sessions. */
  readonly qos: 0 | 1
  /** SUBSCRIBEs with a filter that no node has, in the whole cluster. */
  readonly subscribesPerSecond?: number
  /** Where it is known; default: what the load makes of it on a machine with nothing else to do. */
  readonly messagesPerTurn?: number
}

export interface Prediction {
  /** CPU of a node's event loop, cores. Above 1 it cannot be. */
  readonly nodeCores: number
  readonly redisCores: number
  /** Of it what lies in the one hash slot of the cluster's log, which no shard can share. */
  readonly clusterSlotCores: number
  readonly messagesPerTurn: number
  /** From each node to all others together. */
  readonly framesPerSecond: number
  /** Mean time that a message waits and is worked on, at both nodes; without network and Redis. */
  readonly delayMs: number
}

/** A node is not planned to be busier than this: a burst must find room. */
export const NODE_CORES_MAX = 0.7
/** Redis works on one thread, and must catch up after a failover. */
export const SHARD_CORES_MAX = 0.6

const US = 1e6
const STEPS = 200

interface Turn {
  readonly us: number
  readonly frames: number
}

export function predict(costs: UnitCosts, deployment: Deployment): Prediction {
  const { nodes, messagesPerSecond, qos, subscribesPerSecond = 0 } = deployment
  const path = qos === 0 ? costs.qos0 : costs.qos1
  const remote = (nodes - 1) / nodes
  const rate = messagesPerSecond / nodes
  const idleUs = at(costs.idleNode, nodes)
  const subscribeUs = (at(costs.subscribeNodes, nodes) * subscribesPerSecond) / nodes
  const backgroundCores = (idleUs + subscribeUs) / US

  const turnOf = (messages: number): Turn => {
    const frames = framesOf(nodes, messages)
    const hasLocal = 1 - remote ** messages
    const us =
      messages * (1 - remote) * path.local.messageUs +
      hasLocal * path.local.turnUs +
      cost(path.sender, messages * remote, frames) +
      cost(path.receiver, messages * remote, frames)
    return { us, frames }
  }
  const messages =
    deployment.messagesPerTurn ??
    batchOf((size) => turnOf(size).us / US / (1 - backgroundCores), rate)
  const { us, frames } = turnOf(messages)
  const turnsPerSecond = rate / messages
  const nodeCores = backgroundCores + (turnsPerSecond * us) / US

  const slotUs =
    nodes * at(costs.idleRedis, nodes) + subscribesPerSecond * at(costs.subscribeRedis, nodes)
  const redisUs =
    slotUs +
    cost(path.redisRemote, messagesPerSecond * remote, nodes * turnsPerSecond * frames) +
    cost(
      path.redisLocal,
      messagesPerSecond * (1 - remote),
      nodes * turnsPerSecond * (1 - remote ** messages),
    )
  return {
    nodeCores,
    redisCores: redisUs / US,
    clusterSlotCores: slotUs / US,
    messagesPerTurn: messages,
    framesPerSecond: turnsPerSecond * frames,
    delayMs: 2 * delayMs(us, nodeCores),
  }
}

/** The most that a cluster of this number of nodes may be planned for, messages per second. */
export function capacity(
  costs: UnitCosts,
  deployment: Omit<Deployment, 'messagesPerSecond'>,
): number {
  let [low, high] = [0, 1e8]
  for (let step = 0; step < STEPS && high - low > 1; step += 1) {
    const messagesPerSecond = (low + high) / 2
    const { nodeCores } = predict(costs, { ...deployment, messagesPerSecond })
    if (nodeCores <= NODE_CORES_MAX) low = messagesPerSecond
    else high = messagesPerSecond
  }
  return low
}

/** The fewest nodes for this load; undefined: more than `nodesMax`. */
export function nodesFor(
  costs: UnitCosts,
  load: Omit<Deployment, 'nodes'>,
  nodesMax: number,
): number | undefined {
  for (let nodes = 2; nodes <= nodesMax; nodes += 1)
    if (predict(costs, { ...load, nodes }).nodeCores <= NODE_CORES_MAX) return nodes
  return undefined
}

export function shardsFor({ redisCores }: Prediction): number {
  return Math.max(1, Math.ceil(redisCores / SHARD_CORES_MAX))
}

export interface Held {
  readonly nodes: number
  readonly connections: number
  readonly storedSessions: number
  /** Of all clients, each different. */
  readonly filters: number
}

/** Memory of one node that grows with what it holds; a node without clients has 100 MiB or so beside it. */
export function bytesPerNode(costs: UnitCosts, held: Held): number {
  const { nodes, connections, storedSessions, filters } = held
  return (
    (connections / nodes) * costs.connectionBytes +
    storedSessions * costs.sessionBytes +
    (filters * (nodes - 1) * costs.routeBytes) / nodes
  )
}

/** How many messages a turn took on average, from how many frames the messages of a node made. */
export function messagesPerTurn(nodes: number, framesPerMessage: number): number {
  let [low, high] = [1, 1e6]
  for (let step = 0; step < STEPS && high - low > 1e-9 * high; step += 1) {
    const middle = (low + high) / 2
    if (framesOf(nodes, middle) / middle > framesPerMessage) low = middle
    else high = middle
  }
  return low
}

/** One for each other node that has a subscriber of one of them. */
function framesOf(nodes: number, messages: number): number {
  return (nodes - 1) * (1 - (1 - 1 / nodes) ** messages)
}

function at({ ownUs, perNodeUs }: PerNode, nodes: number): number {
  return ownUs + perNodeUs * nodes
}

function cost({ messageUs, turnUs }: Share, messages: number, turns: number): number {
  return messages * messageUs + turns * turnUs
}

/**
 * How many messages a turn takes, on average: those that come while the turn before runs, one if none has. With
 * random arrivals that is rate × time + the chance that none came. As many as the loop can take in one second if
 * it cannot keep up.
 */
function batchOf(secondsOf: (messages: number) => number, rate: number): number {
  const growth = (messages: number): number => {
    const arrivals = rate * secondsOf(messages)
    return arrivals + Math.exp(-arrivals) - messages
  }
  // What comes in a turn grows more slowly than the turn: at most one crossing.
  let [low, high] = [1, Math.max(1, rate)]
  for (let step = 0; step < STEPS && high - low > 1e-9 * high; step += 1) {
    const middle = (low + high) / 2
    if (growth(middle) > 0) low = middle
    else high = middle
  }
  return low
}

/** A queue with one server, random arrivals and equal work (M/D/1): the wait, and the work itself. */
function delayMs(workUs: number, cores: number): number {
  const load = Math.min(cores, 0.999)
  return (workUs + (load * workUs) / (2 * (1 - load))) / 1_000
}
