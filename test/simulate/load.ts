/**
 * Devices that publish at a steady rate, each over a connection of its own, and one service per node that gets it
 * all. Messages come one by one at random times, or many at once.
 */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { PacketFlow } from '../fault/packet-flow.ts'
import type { NodeProcess } from '../kit/node.ts'
import { encodePuback, encodePublish, encodeSubscribe } from '../kit/wire-encoder.ts'
import { between, type SimulationRig, type Used } from './rig.ts'

export interface LoadPlan {
  readonly qos: 0 | 1
  /** Of all nodes that have publishers together. */
  readonly messagesPerSecond: number
  /** The number of messages at once, at one node; 1: one by one. */
  readonly burst: number
  /** Nodes with publishers, and with a service. */
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly seconds: number
}

export interface LoadResult {
  readonly messages: number
  readonly seconds: number
  readonly used: Used
}

const PUBLISHERS_PER_NODE = 64
const TICK_MS = 1
/** Timers are too coarse to keep messages apart: between two looks at the clock this thread sleeps. */
const NAP_MS = 0.2
const WARM_MS = 1_500
const ARRIVE_MAX_MS = 20_000
const nap = new Int32Array(new SharedArrayBuffer(4))
const PAYLOAD = Buffer.alloc(100, 'x')

interface Publisher {
  readonly flow: PacketFlow
  readonly id: string
  lastPacketId: number
}

/** @throws {Error} messages were lost */
export async function runLoad(rig: SimulationRig, plan: LoadPlan): Promise<LoadResult> {
  await using stack = new AsyncDisposableStack()
  let received = 0
  for (const to of plan.to) {
    const node = rig.nodes[to] as NodeProcess
    stack.use(await startService(node, to, plan.qos, (count) => void (received += count)))
  }
  const publishers: Publisher[][] = []
  for (const from of plan.from) {
    const list: Publisher[] = []
    for (let index = 0; index < PUBLISHERS_PER_NODE; index += 1) {
      const id = `device-${from}-${index}`
      const flow = stack.use(
        await PacketFlow.connect(rig.nodes[from] as NodeProcess, { clientId: id }),
      )
      list.push({ flow, id, lastPacketId: 0 })
    }
    publishers.push(list)
  }
  let sent = 0
  const send = (): void => {
    const list = publishers[Math.floor(Math.random() * publishers.length)] as Publisher[]
    const first = Math.floor(Math.random() * list.length)
    for (let index = 0; index < plan.burst; index += 1) {
      publishOne(list[(first + index) % list.length] as Publisher, plan)
      sent += 1
    }
  }
  await pace(send, plan, WARM_MS)
  const before = await rig.used()
  const [sentBefore, started] = [sent, performance.now()]
  await pace(send, plan, plan.seconds * 1_000)
  await arrived(
    () => received >= sent,
    () => `${received} of ${sent} messages came`,
  )
  const seconds = (performance.now() - started) / 1_000
  const used = between(before, await rig.used())
  return { messages: sent - sentBefore, seconds, used }
}

async function startService(
  node: NodeProcess,
  index: number,
  qos: 0 | 1,
  onMessages: (count: number) => void,
): Promise<PacketFlow> {
  let isSubscribed = false
  const flow = await PacketFlow.connect(
    node,
    { clientId: `service-${index}`, clean: qos === 0 },
    (packet, self) => {
      if (packet.type === 'suback') isSubscribed = true
      if (packet.type !== 'publish') return
      if (packet.qos > 0) self.send(encodePuback(packet.packetId))
      onMessages(1)
    },
  )
  flow.send(encodeSubscribe(1, [[`in/${index}/+`, qos]]))
  await flow.until(() => isSubscribed, 'SUBACK', ARRIVE_MAX_MS)
  return flow
}

function publishOne(publisher: Publisher, { qos, to }: LoadPlan): void {
  const service = to[Math.floor(Math.random() * to.length)] as number
  const topic = `in/${service}/${publisher.id}`
  publisher.lastPacketId = (publisher.lastPacketId % 60_000) + 1
  const packetId = publisher.lastPacketId
  const fields = { topic, payload: PAYLOAD, qos }
  publisher.flow.send(encodePublish(qos === 0 ? fields : { ...fields, packetId }))
}

/** Times between are drawn as those of many devices that know nothing of each other. */
async function pace(send: () => void, plan: LoadPlan, forMs: number): Promise<void> {
  const meanMs = (1_000 * plan.burst) / plan.messagesPerSecond
  const started = performance.now()
  let nextAt = 0
  for (;;) {
    const now = performance.now() - started
    if (now >= forMs) return
    for (; nextAt <= now; nextAt -= Math.log(1 - Math.random()) * meanMs) send()
    await turn()
    Atomics.wait(nap, 0, 0, NAP_MS)
  }
}

async function arrived(isSo: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + ARRIVE_MAX_MS
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(what())
    await delay(TICK_MS)
  }
}
