/**
 * What a broker does when clients misbehave, as sentences instead of assertions, so that any broker can be
 * asked. Each check is bounded in time: a broker that stops answering is a finding, not an error.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { WireAddress } from '../kit/wire-client.ts'
import * as wire from '../kit/wire-encoder.ts'
import { PacketFlow, type PacketHandler } from './packet-flow.ts'
import { PairLoad, type Measured } from './pair-load.ts'

export interface BrokerProcess extends WireAddress {
  readonly pid: number
}

export interface FaultCheck {
  readonly title: string
  readonly run: (broker: BrokerProcess) => Promise<string>
}

const ms = (value: number): string => (Number.isNaN(value) ? 'none came' : `${value.toFixed(0)} ms`)
/** What arrives of the time before can make it a little more than all. */
const share = ({ sent, received }: Measured): string =>
  `${Math.min(100, (received / Math.max(1, sent)) * 100).toFixed(0)} %`

function residentMiB({ pid }: BrokerProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024
}

async function subscribe(
  flow: PacketFlow,
  filters: readonly (readonly [string, number])[],
  onPacket: PacketHandler = () => {},
): Promise<void> {
  let isSubscribed = false
  flow.onPacket = (packet, self) => {
    if (packet.type === 'suback') isSubscribed = true
    else onPacket(packet, self)
  }
  flow.send(wire.encodeSubscribe(1, filters))
  await flow.until(() => isSubscribed, 'suback')
}

/** Whether it came to be so in time. */
async function came(flow: PacketFlow, isSo: () => boolean, timeoutMs: number): Promise<boolean> {
  return flow.until(isSo, 'it', timeoutMs).then(
    () => true,
    () => isSo(),
  )
}

async function stalledSubscriber(broker: BrokerProcess, qos: 0 | 1): Promise<string> {
  await using load = await PairLoad.start(broker, {
    pairs: 20,
    messagesPerSecond: 1_000,
    payloadBytes: 4_096,
    qos,
    topic: 'pair',
  })
  const before = await load.during(delay(1_500))
  const memoryBefore = residentMiB(broker)
  await using stalled = await PacketFlow.connect(broker, { clientId: `stalled-${qos}` })
  await subscribe(stalled, [['#', qos]])
  stalled.stopReading()
  const during = await load.during(delay(4_000))
  const grown = residentMiB(broker) - memoryBefore
  return (
    `${share(during)} of the pairs' messages arrive; p99 of those that do ` +
    `${ms(during.p99Ms)}, before ${ms(before.p99Ms)}; memory ${grown < 0 ? '' : '+'}${grown.toFixed(0)} MiB`
  )
}

async function unreadAcknowledgements(broker: BrokerProcess): Promise<string> {
  const memoryBefore = residentMiB(broker)
  await using publisher = await PacketFlow.connect(broker, { clientId: 'deaf' })
  publisher.stopReading()
  const chunk = Buffer.concat(
    Array.from({ length: 5_000 }, (_, index) =>
      wire.encodePublish({ topic: 'a', qos: 1, packetId: index + 1 }),
    ),
  )
  const deadline = performance.now() + 4_000
  let sent = 0
  while (performance.now() < deadline && sent < 3_000_000) {
    if (publisher.socket.writableLength === 0) {
      publisher.send(chunk)
      sent += 5_000
    }
    await delay(1)
  }
  const isHeld = publisher.socket.writableLength > 0
  const grown = residentMiB(broker) - memoryBefore
  return `${isHeld ? 'held' : 'still read'} after ${sent.toLocaleString('en')} messages; memory +${grown.toFixed(0)} MiB`
}

async function resume(broker: BrokerProcess): Promise<string> {
  const count = 5_000
  const fields = { clientId: 'device', clean: false }
  const away = await PacketFlow.connect(broker, fields)
  await subscribe(away, [['resume/t', 1]])
  await away.drop()
  let acknowledged = 0
  await using publisher = await PacketFlow.connect(broker, { clientId: 'publisher' }, () => {
    acknowledged += 1
  })
  const publishOne = (number: number): void => {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(number)
    publisher.send(wire.encodePublish({ topic: 'resume/t', payload, qos: 1, packetId: number + 1 }))
  }
  for (let number = 0; number < count; number += 1) publishOne(number)
  await publisher.until(() => acknowledged === count, 'acknowledgements', 10_000)

  let received = 0
  let inOrder = 0
  let mostOpen = 0
  const open: number[] = []
  await using device = await PacketFlow.connect(broker, fields, (packet, flow) => {
    if (packet.type !== 'publish') return
    if (packet.payload.readUInt32BE(0) === received) inOrder += 1
    received += 1
    open.push(packet.packetId)
    mostOpen = Math.max(mostOpen, open.length)
    if (received === 100) publishOne(count)
    // It answers in rounds, as a slow device does.
    if (open.length === 1)
      setTimeout(() => flow.send(...open.splice(0).map((id) => wire.encodePuback(id))), 2)
  })
  await came(device, () => received >= count + 1, 5_000)
  return `${received} of ${count + 1} arrived, ${inOrder} of them in their place, up to ${mostOpen} unacknowledged at once`
}

async function pipelined(broker: BrokerProcess): Promise<string> {
  const times = 200
  const count = async (
    name: string,
    pair: (topic: string, id: number) => Buffer[],
  ): Promise<number> => {
    const topics = new Set<string>()
    await using client = await PacketFlow.connect(broker, { clientId: name }, (packet) => {
      if (packet.type === 'publish') topics.add(packet.topic)
    })
    client.send(
      ...Array.from({ length: times }, (_, index) => pair(`${name}/${index}`, index + 1)).flat(),
    )
    await came(client, () => topics.size === times, 2_000)
    return topics.size
  }
  const live = await count('sp', (topic, id) => [
    wire.encodeSubscribe(id, [[topic, 0]]),
    wire.encodePublish({ topic }),
  ])
  const retained = await count('ps', (topic, id) => [
    wire.encodePublish({ topic, payload: 'x', retain: true }),
    wire.encodeSubscribe(id, [[topic, 0]]),
  ])
  return `${live} of ${times} SUBSCRIBE + PUBLISH, ${retained} of ${times} PUBLISH retained + SUBSCRIBE heard`
}

async function fanOut(broker: BrokerProcess): Promise<string> {
  const subscribers = 300
  let received = 0
  await using stack = new AsyncDisposableStack()
  for (let index = 0; index < subscribers; index += 1) {
    const flow = stack.use(await PacketFlow.connect(broker, { clientId: `fan-${index}` }))
    await subscribe(flow, [['fan/out', 0]], () => {
      received += 1
    })
  }
  await using publisher = await PacketFlow.connect(broker, { clientId: 'burst' })
  await using probe = await PairLoad.start(broker, {
    pairs: 1,
    messagesPerSecond: 200,
    payloadBytes: 64,
    qos: 0,
    topic: 'probe',
  })
  const frame = wire.encodePublish({ topic: 'fan/out', payload: 'x'.repeat(64) })
  const burst = Buffer.concat(Array.from({ length: 150 }, () => frame))
  const measured = await probe.during(
    (async () => {
      for (let count = 1; count <= 4; count += 1) {
        publisher.send(burst)
        await came(publisher, () => received >= count * 150 * subscribers, 1_500)
        const deadline = performance.now() + 1_500
        while (received < count * 150 * subscribers && performance.now() < deadline) await delay(5)
      }
    })(),
  )
  const expected = 4 * 150 * subscribers
  return `${((received / expected) * 100).toFixed(0)} % of ${expected.toLocaleString('en')} copies; probe p99 ${ms(measured.p99Ms)}`
}

export const faultChecks: readonly FaultCheck[] = [
  {
    title: 'A subscriber of # stops reading beside 20 pairs at QoS 0 (1,000 messages/s, 4 KiB)',
    run: (broker) => stalledSubscriber(broker, 0),
  },
  { title: 'The same at QoS 1', run: (broker) => stalledSubscriber(broker, 1) },
  { title: 'A publisher at QoS 1 does not read its PUBACKs', run: unreadAcknowledgements },
  { title: '5,000 queued messages on resume, one live behind them', run: resume },
  { title: 'Control and data frames in one write', run: pipelined },
  { title: 'Bursts of 150 messages to 300 subscribers beside a probe', run: fanOut },
]
