/** The tables and curves of docs/SCALING.md: the page shows what is made here, held equal by a test. */
import { drawChart, type Curve } from './chart.ts'
import { NODES_MAX, type Invocation } from './command-line.ts'
import {
  bytesPerNode,
  capacity,
  nodesFor,
  predict,
  SHARD_CORES_MAX,
  shardsFor,
  type Deployment,
  type Prediction,
} from './model.ts'
import type { PerNode, Share, UnitCosts } from './unit-costs.ts'
import type { Comparison } from './validate.ts'

type Row = readonly string[]
type Load = Pick<Invocation, 'devices' | 'periodSeconds'>

/** Of the table of sizes. */
export const SIZES = [2, 3, 5, 10, 20, 35, 50] as const
const QOS = [0, 1] as const
const COLORS = ['#0969da', '#bc4c00'] as const
const MIB = 2 ** 20

/** What each part costs. */
export function costRows(costs: UnitCosts): Row[] {
  const parts = ['local', 'sender', 'receiver', 'redisLocal', 'redisRemote'] as const
  const names: Readonly<Record<(typeof parts)[number], string>> = {
    local: 'node, publisher and subscriber both there',
    sender: 'node of the publisher, subscriber elsewhere',
    receiver: 'node of the subscriber, publisher elsewhere',
    redisLocal: 'Redis, both at one node',
    redisRemote: 'Redis, at two nodes',
  }
  const share = ({ messageUs, turnUs }: Share): string[] => [fixed(messageUs), fixed(turnUs)]
  return parts.map((part) => [names[part], ...share(costs.qos0[part]), ...share(costs.qos1[part])])
}

/** What does not depend on messages. */
export function otherRows(costs: UnitCosts): Row[] {
  const line = ({ ownUs, perNodeUs }: PerNode): string => {
    const two = `${count(ownUs + 2 * perNodeUs)} µs`
    return perNodeUs === 0
      ? two
      : `${two} of two nodes, ${count(perNodeUs)} µs more for each further one`
  }
  return [
    ['a node at rest, per second', line(costs.idleNode)],
    ['Redis, per second and node at rest', line(costs.idleRedis)],
    ['SUBSCRIBE to a filter that no node has, all nodes together', line(costs.subscribeNodes)],
    ['the same, Redis', line(costs.subscribeRedis)],
    ['PINGREQ and its answer', `${count(costs.pingUs)} µs`],
    ['TLS handshake, CONNECT and one SUBSCRIBE', `${count(costs.connectUs)} µs`],
    ['TLS connection with a subscription, resident', `${count(costs.connectionBytes)} bytes`],
    ['stored session with one filter, at every node', `${count(costs.sessionBytes)} bytes`],
    ["filter of another node's client", `${count(costs.routeBytes)} bytes`],
  ]
}

/** What a fleet needs, at each quality of service. */
export function fleetRows(costs: UnitCosts, { devices, periodSeconds }: Load): Row[] {
  const messagesPerSecond = devices / periodSeconds
  return QOS.map((qos) => {
    const nodes = nodesFor(costs, { messagesPerSecond, qos }, NODES_MAX)
    if (nodes === undefined)
      return [`QoS ${qos}`, `more than ${NODES_MAX}`, '–', '–', '–', '–', '–']
    const said = predict(costs, { nodes, messagesPerSecond, qos })
    const held = { nodes, connections: devices, storedSessions: devices, filters: devices }
    return [
      `QoS ${qos}`,
      `${nodes}`,
      percent(said.nodeCores),
      fixed(said.redisCores),
      `${shardsFor(said)}`,
      count(said.framesPerSecond * nodes),
      count(bytesPerNode(costs, held) / MIB),
    ]
  })
}

/** Clusters of some sizes, each as full as it may be planned. */
export function sizeRows(costs: UnitCosts, sizes: readonly number[]): Row[] {
  return sizes.flatMap((nodes) =>
    QOS.map((qos) => {
      const { messagesPerSecond, said } = full(costs, { nodes, qos })
      return [
        `${nodes}`,
        `${qos}`,
        count(messagesPerSecond),
        count(messagesPerSecond / nodes),
        fixed(said.messagesPerTurn),
        count(said.framesPerSecond * nodes),
        fixed(said.redisCores),
        `${shardsFor(said)}`,
        count((messagesPerSecond * SHARD_CORES_MAX) / said.redisCores),
        fixed(said.delayMs),
      ]
    }),
  )
}

export function validationRows(comparisons: readonly Comparison[]): Row[] {
  const error = (predicted: number, measured: number): string =>
    `${predicted >= measured ? '+' : '−'}${Math.abs((predicted / measured - 1) * 100).toFixed(0)} %`
  return comparisons.map(({ nodes, qos, messagesPerSecond, node, redis, frames }) => [
    `${nodes}`,
    `${qos}`,
    count(messagesPerSecond),
    ...[node, redis].flatMap(({ predicted, measured }) => [
      fixed(predicted),
      fixed(measured),
      error(predicted, measured),
    ]),
    count(frames.predicted),
    count(frames.measured),
  ])
}

export function scalingChart(costs: UnitCosts, nodesMax: number): string {
  const sizes = Array.from({ length: nodesMax - 1 }, (_, index) => index + 2)
  const curve = (name: string, color: string, of: (nodes: number) => number): Curve => ({
    name,
    color,
    points: sizes.map((nodes) => [nodes, of(nodes)]),
  })
  const per = (qos: 0 | 1, pick: (full: Full) => number, name: string): Curve =>
    curve(`QoS ${qos}${name}`, COLORS[qos], (nodes) => pick(full(costs, { nodes, qos })))
  const linear = (qos: 0 | 1): Curve => {
    const two = full(costs, { nodes: 2, qos }).messagesPerSecond / 2_000
    const straight = curve(`QoS ${qos}, as two nodes × n`, COLORS[qos], (nodes) => two * nodes)
    return { ...straight, dashed: true }
  }
  return drawChart('A cluster of Breakwater, as simulated from measured unit costs', [
    {
      title: 'What the nodes take, 70 % of a core each',
      xLabel: 'nodes',
      yLabel: 'thousand messages per second',
      curves: QOS.flatMap((qos) => [
        per(qos, ({ messagesPerSecond }) => messagesPerSecond / 1_000, ''),
        linear(qos),
      ]),
    },
    {
      title: 'What Redis needs for it, 60 % of a core each',
      xLabel: 'nodes',
      yLabel: 'shards',
      curves: QOS.map((qos) => per(qos, ({ said }) => shardsFor(said), '')),
    },
  ])
}

export function markdownTable(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

interface Full {
  readonly messagesPerSecond: number
  readonly said: Prediction
}

function full(costs: UnitCosts, cluster: Omit<Deployment, 'messagesPerSecond'>): Full {
  const messagesPerSecond = capacity(costs, cluster)
  return { messagesPerSecond, said: predict(costs, { ...cluster, messagesPerSecond }) }
}

function count(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US')
}

function fixed(value: number): string {
  return value >= 100 ? count(value) : value.toFixed(1)
}

function percent(cores: number): string {
  return `${(cores * 100).toFixed(0)} %`
}
