/** Nodes of the compliance suite, which write down what they hear. */
import type { Bus, Notice, NodeSignal } from './bus.ts'
import type { BusUnderTest } from './bus-under-test.ts'
import { Message } from './message.ts'
import type { QoS } from '@breakwater/mqtt'

export const FENCE = 'fence'

export interface Node {
  readonly bus: Bus
  readonly messages: Message[]
  readonly signals: (readonly [from: string, signal: NodeSignal])[]
  readonly notices: Notice[]
  /** Which nodes this one has heard a fence of. */
  readonly fences: Set<string>
  heard: () => void
}

export async function joinAll(under: BusUnderTest, count: number): Promise<Node[]> {
  return (await Promise.all(Array.from({ length: count }, () => under.join()))).map(listen)
}

export function listen(bus: Bus): Node {
  const node: Node = {
    bus,
    messages: [],
    signals: [],
    notices: [],
    fences: new Set(),
    heard: () => undefined,
  }
  bus.onMessage((item) => {
    if (item.topic === FENCE) node.fences.add(`message ${item.payload.toString()}`)
    else node.messages.push(item)
    node.heard()
  })
  bus.onSignal((from, signal) => node.signals.push([from, signal]))
  bus.onNotice((_from, notice) => {
    if (notice.kind !== 'revocation' && notice.epoch === -1)
      node.fences.add(`notice ${notice.clientId}`)
    else node.notices.push(notice)
    node.heard()
  })
  return node
}

export function othersOf(node: Node, nodes: readonly Node[]): string[] {
  return nodes.filter((other) => other !== node).map(({ bus }) => bus.nodeId)
}

/** Everything that each of the nodes said before has come to the others. */
export async function fence(nodes: readonly Node[]): Promise<void> {
  const all = nodes.map(
    (node) =>
      new Promise<void>((resolve) => {
        node.heard = () => {
          if (node.fences.size === (nodes.length - 1) * 2) resolve()
        }
      }),
  )
  for (const node of nodes) {
    const { bus } = node
    await published(bus, message(FENCE, bus.nodeId), othersOf(node, nodes))
    for (const target of othersOf(node, nodes))
      await bus.notify(target, { kind: 'taken-over', clientId: bus.nodeId, epoch: -1 })
  }
  await Promise.all(all)
  for (const node of nodes) node.fences.clear()
}

export async function arrival(node: Node, count: number): Promise<void> {
  await new Promise<void>((resolve) => {
    node.heard = () => {
      if (node.messages.length >= count) resolve()
    }
    node.heard()
  })
}

/** @throws {Error} what `done` was given; a second `done` is a fault of its own */
export function published(bus: Bus, item: Message, targets: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let calls = 0
    bus.publish(item, targets, (error) => {
      calls += 1
      if (calls > 1) throw new Error('`done` came twice')
      if (error === undefined) resolve()
      else reject(error)
    })
  })
}

export function message(topic: string, payload: string | Buffer = '', qos: QoS = 1): Message {
  return new Message(topic, Buffer.from(payload), qos, false)
}

export function payloads({ messages }: Node): string[] {
  return messages.map(({ payload }) => payload.toString())
}

export function plain({ topic, payload, qos, retain, properties, expiresAt }: Message): unknown {
  const hex = { payload: payload.toString('hex'), properties: properties?.toString('hex') }
  return { topic, qos, retain, expiresAt, ...hex }
}
