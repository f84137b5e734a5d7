/** The model of a cluster behaves as a cluster must, for any unit costs. */
import { expect, it } from 'vitest'
import {
  bytesPerNode,
  capacity,
  messagesPerTurn,
  nodesFor,
  NODE_CORES_MAX,
  predict,
  shardsFor,
} from './model.ts'
import type { PathCosts, UnitCosts } from './unit-costs.ts'

const path: PathCosts = {
  local: { messageUs: 10, turnUs: 20 },
  sender: { messageUs: 8, turnUs: 30 },
  receiver: { messageUs: 4, turnUs: 25 },
  redisLocal: { messageUs: 0, turnUs: 0 },
  redisRemote: { messageUs: 1, turnUs: 12 },
}
const costs: UnitCosts = {
  machine: { cpu: 'none', cores: 1, node: 'v0', redis: '0', date: '2026-01-01' },
  qos0: path,
  qos1: { ...path, redisRemote: { messageUs: 10, turnUs: 60 } },
  idleNode: { ownUs: 5_000, perNodeUs: 0 },
  idleRedis: { ownUs: 1_000, perNodeUs: 100 },
  subscribeNodes: { ownUs: 200, perNodeUs: 100 },
  subscribeRedis: { ownUs: 50, perNodeUs: 20 },
  pingUs: 10,
  connectUs: 1_000,
  connectionBytes: 50_000,
  sessionBytes: 100,
  routeBytes: 20,
}

it('in the cluster model, a node and Redis without messages need their CPU at rest', () => {
  const calm = predict(costs, { nodes: 4, messagesPerSecond: 0, qos: 0 })
  expect(calm.nodeCores).toBeCloseTo(0.005)
  expect(calm.redisCores).toBeCloseTo((4 * 1_400) / 1e6)
  expect(calm.clusterSlotCores).toBe(calm.redisCores)
})

it('in the cluster model, a single message costs the mean of its sending and its receiving node', () => {
  const one = predict(costs, { nodes: 2, messagesPerSecond: 2, qos: 0 })
  expect(one.messagesPerTurn).toBeCloseTo(1, 3)
  // Half stay (30 µs), half go (38 + 29 µs); one a second at each node.
  expect((one.nodeCores - 0.005) * 1e6).toBeCloseTo(15 + 33.5, 1)
  expect(one.framesPerSecond).toBeCloseTo(0.5, 3)
  expect((one.redisCores - (2 * 1_200) / 1e6) * 1e6).toBeCloseTo(13, 1)
})

it('in the cluster model, a turn under load takes more messages, and each message costs less', () => {
  const at = (messagesPerSecond: number) => predict(costs, { nodes: 3, messagesPerSecond, qos: 0 })
  const [calm, busy] = [at(3_000), at(60_000)]
  expect(busy.messagesPerTurn).toBeGreaterThan(calm.messagesPerTurn)
  expect(busy.nodeCores / 60_000).toBeLessThan(calm.nodeCores / 3_000)
  expect(busy.delayMs).toBeGreaterThan(calm.delayMs)
})

it('in the cluster model, frames sent never exceed messages received, nor one frame per node and turn', () => {
  for (const nodes of [2, 5, 20, 50])
    for (const messagesPerSecond of [100, 10_000, 200_000]) {
      const { framesPerSecond, messagesPerTurn } = predict(costs, {
        nodes,
        messagesPerSecond,
        qos: 1,
      })
      const rate = messagesPerSecond / nodes
      expect(framesPerSecond).toBeLessThanOrEqual(rate * (1 - 1 / nodes) + 1e-6)
      expect(framesPerSecond).toBeLessThanOrEqual((rate / messagesPerTurn) * (nodes - 1) + 1e-6)
    }
})

it('the cluster model recovers the messages per turn from the number of frames', () => {
  for (const nodes of [2, 10]) {
    const load = { nodes, messagesPerSecond: 20_000, qos: 0 } as const
    const said = predict(costs, load)
    const framesPerMessage = (said.framesPerSecond * nodes) / load.messagesPerSecond
    const found = messagesPerTurn(nodes, framesPerMessage)
    expect(found).toBeCloseTo(said.messagesPerTurn, 4)
    expect(predict(costs, { ...load, messagesPerTurn: found }).nodeCores).toBeCloseTo(
      said.nodeCores,
    )
  }
})

it('in the cluster model, more nodes take more messages in total, and each node takes fewer', () => {
  const each = (nodes: number): number => capacity(costs, { nodes, qos: 0 }) / nodes
  for (let nodes = 2; nodes < 50; nodes += 1) {
    expect(each(nodes + 1)).toBeLessThan(each(nodes))
    expect(each(nodes + 1) * (nodes + 1)).toBeGreaterThan(each(nodes) * nodes)
  }
})

it('in the cluster model, the number of nodes for a load suffices, and one node fewer does not', () => {
  const load = { messagesPerSecond: 300_000, qos: 0 } as const
  const nodes = nodesFor(costs, load, 50) ?? 0
  expect(predict(costs, { ...load, nodes }).nodeCores).toBeLessThanOrEqual(NODE_CORES_MAX)
  expect(predict(costs, { ...load, nodes: nodes - 1 }).nodeCores).toBeGreaterThan(NODE_CORES_MAX)
  expect(nodesFor(costs, { messagesPerSecond: 1e9, qos: 0 }, 50)).toBeUndefined()
})

it('the cluster model answers for a load that needs more than one core per node', () => {
  const flood = predict(costs, { nodes: 2, messagesPerSecond: 1e7, qos: 1 })
  expect(flood.nodeCores).toBeGreaterThan(1)
  expect(shardsFor(flood)).toBeGreaterThan(50)
})

it('in the cluster model, connections are divided among nodes; each node holds sessions and filters of all nodes', () => {
  const held = { connections: 1_000, storedSessions: 0, filters: 0 }
  expect(bytesPerNode(costs, { ...held, nodes: 10 })).toBe(100 * 50_000)
  expect(bytesPerNode(costs, { nodes: 10, connections: 0, storedSessions: 7, filters: 100 })).toBe(
    700 + 90 * 20,
  )
})
