/** What a message from one node to the other costs: all three processes, per delivered message. */
import { once } from 'node:events'
import { PacketFlow } from '../../fault/packet-flow.ts'
import { encodePuback, encodePublish, encodeSubscribe, type QoS } from '../../kit/wire-encoder.ts'
import { cpuEach, print, startRig, type Cost, type Rig } from './backplane-rig.ts'

const PUBLISHES = 20_000
const STEP = 10
const FILTER_CLIENTS = 50
const FILTERS_PER_CLIENT = 1_000
const PAIRS = 16
const FRAMES_PER_WRITE = 50
const SATURATED_MS = 5_000
const QUIET_MS = 3_000
const WINDOW = 200
const QOS1_MESSAGES = 50_000
const PAYLOAD = Buffer.alloc(100, 'x')

/** Redis CPU per publish, without and with wildcard filters at the other node. */
export async function measureFilters(): Promise<void> {
  await using rig = await startRig()
  await using stack = new AsyncDisposableStack()
  let received = 0
  const subscriber = stack.use(
    await PacketFlow.connect(rig.b, { clientId: 'subscriber' }, ({ type }) => {
      if (type === 'publish') received += 1
    }),
  )
  await subscribe(subscriber, ['one/topic'], 0)
  const publisher = stack.use(await PacketFlow.connect(rig.a, { clientId: 'publisher' }))
  const frames = Array.from({ length: STEP }, () =>
    encodePublish({ topic: 'one/topic', payload: PAYLOAD }),
  )
  /** Always this number at once: how Redis is written to must not differ between the two. */
  const publish = async (count: number): Promise<void> => {
    const end = received + count
    while (received < end) {
      const next = received + STEP
      publisher.send(...frames)
      await subscriber.until(() => received >= next, `message ${next}`)
    }
  }
  const redisUs = async (): Promise<number> => {
    await rig.quiet()
    await publish(2_000)
    const before = await rig.cpu()
    await publish(PUBLISHES)
    return cpuEach(before, await rig.cpu(), PUBLISHES).redis
  }
  const none = await redisUs()
  for (let index = 0; index < FILTER_CLIENTS; index++) {
    const client = stack.use(await PacketFlow.connect(rig.b, { clientId: `filters-${index}` }))
    const filters = Array.from({ length: FILTERS_PER_CLIENT }, (_, n) => {
      return `f/${index * FILTERS_PER_CLIENT + n}/+`
    })
    await subscribe(client, filters, 0)
  }
  const many = await redisUs()
  print(
    `Redis CPU per publish at ${FILTER_CLIENTS * FILTERS_PER_CLIENT} wildcard filters / at 0`,
    `${many.toFixed(2)} µs / ${none.toFixed(2)} µs = ${(many / none).toFixed(2)} (goal <= 1.2)`,
  )
}

/** Publishers that write as much as is taken, each with a subscriber of its own. */
export async function measureSaturated(): Promise<void> {
  await using rig = await startRig()
  const { cost, sent, received, tookMs } = await saturate(rig, SATURATED_MS)
  printCost('cross-node QoS 0 saturated', cost)
  const lost = sent - received
  print('  of it', `${sent} sent, ${received} received, ${lost} not, in ${tookMs.toFixed(0)} ms`)
}

export interface Traffic {
  readonly cost: Cost
  readonly sent: number
  readonly received: number
  readonly tookMs: number
}

export async function saturate(rig: Rig, forMs: number): Promise<Traffic> {
  await using stack = new AsyncDisposableStack()
  let received = 0
  let sent = 0
  const publishers: [PacketFlow, Buffer][] = []
  for (let pair = 0; pair < PAIRS; pair++) {
    const topic = `pair/${pair}`
    const onPacket = ({ type }: { type: string }): void => {
      if (type === 'publish') received += 1
    }
    const subscriber = stack.use(
      await PacketFlow.connect(rig.b, { clientId: `s${pair}` }, onPacket),
    )
    await subscribe(subscriber, [topic], 0)
    const publisher = stack.use(await PacketFlow.connect(rig.a, { clientId: `p${pair}` }))
    const frame = encodePublish({ topic, payload: PAYLOAD })
    publishers.push([publisher, Buffer.concat(Array<Buffer>(FRAMES_PER_WRITE).fill(frame))])
  }
  const before = await rig.cpu()
  const start = performance.now()
  const end = start + forMs
  await Promise.all(
    publishers.map(async ([{ socket }, frames]) => {
      while (performance.now() < end) {
        sent += FRAMES_PER_WRITE
        if (!socket.write(frames)) await once(socket, 'drain')
        else await new Promise(setImmediate)
      }
    }),
  )
  await untilQuiet(() => received, sent)
  const tookMs = performance.now() - start
  return { cost: cpuEach(before, await rig.cpu(), received), sent, received, tookMs }
}

/** A persistent session at the other node, with this number of publishes without their PUBACK at any time. */
export async function measureStored(): Promise<void> {
  await using rig = await startRig()
  const { cost, sent, received, tookMs } = await storeAndDeliver(rig, QOS1_MESSAGES)
  printCost('persistent QoS 1 through Redis', cost)
  const perSecond = (received * 1_000) / tookMs
  print('  of it', `${sent} sent, ${received} received, ${perSecond.toFixed(0)} msg/s`)
}

export async function storeAndDeliver(rig: Rig, messages: number): Promise<Traffic> {
  let received = 0
  await using subscriber = await PacketFlow.connect(
    rig.b,
    { clientId: 'subscriber', clean: false },
    (packet, flow) => {
      if (packet.type !== 'publish') return
      received += 1
      flow.send(encodePuback(packet.packetId))
    },
  )
  await subscribe(subscriber, ['stored/topic'], 1)
  let [sent, acknowledged] = [0, 0]
  const fill = (flow: PacketFlow): void => {
    const frames: Buffer[] = []
    while (sent < messages && sent - acknowledged < WINDOW) {
      sent += 1
      const packetId = (sent % 65_000) + 1
      frames.push(encodePublish({ topic: 'stored/topic', payload: PAYLOAD, qos: 1, packetId }))
    }
    if (frames.length > 0) flow.send(...frames)
  }
  await using publisher = await PacketFlow.connect(rig.a, { clientId: 'p' }, ({ type }, flow) => {
    if (type !== 'puback') return
    acknowledged += 1
    fill(flow)
  })
  const before = await rig.cpu()
  const start = performance.now()
  fill(publisher)
  await publisher.until(() => acknowledged >= messages, 'all PUBACKs', 120_000)
  await subscriber.until(() => received >= messages, 'all messages', 120_000)
  const tookMs = performance.now() - start
  return { cost: cpuEach(before, await rig.cpu(), received), sent, received, tookMs }
}

async function subscribe(flow: PacketFlow, filters: readonly string[], qos: QoS): Promise<void> {
  let codes: readonly number[] | undefined
  const before = flow.onPacket
  flow.onPacket = (packet) => {
    if (packet.type !== 'suback') return before(packet, flow)
    codes = packet.returnCodes
    flow.onPacket = before
  }
  flow.send(
    encodeSubscribe(
      1,
      filters.map((filter) => [filter, qos]),
    ),
  )
  await flow.until(() => codes !== undefined, 'SUBACK', 30_000)
  if (codes?.some((code) => code !== qos)) throw new Error('a filter was refused')
}

/** QoS 0 may be dropped: over when all has come, or nothing for a while. */
async function untilQuiet(count: () => number, all: number): Promise<void> {
  let last = -1
  let sameSince = performance.now()
  while (count() < all && performance.now() - sameSince < QUIET_MS) {
    if (count() !== last) sameSince = performance.now()
    last = count()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function printCost(name: string, { a, b, redis, sum }: Cost): void {
  const [nodeA, nodeB, server, all] = [a, b, redis, sum].map((us) => us.toFixed(1))
  const perCore = (1e6 / sum).toFixed(0)
  const parts = `A ${nodeA} + B ${nodeB} + Redis ${server}`
  print(name, `${parts} = ${all} µs per message, ${perCore} msg/s per core`)
}
