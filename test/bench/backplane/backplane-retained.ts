/** What a SUBSCRIBE costs that finds a few messages among many that are retained. */
import { PacketFlow } from '../../fault/packet-flow.ts'
import { encodePublish, encodeSubscribe, encodeUnsubscribe } from '../../kit/wire-encoder.ts'
import { print, startRig } from './backplane-rig.ts'
import { spreadOf } from '../statistics.ts'

const TOPICS = 100_000
const MATCHES = 10
const RUNS = 100
const WINDOW = 500
const PAYLOAD = Buffer.alloc(100, 'x')

/** From SUBSCRIBE to the last retained message, at the node that did not store them. */
export async function measureRetained(): Promise<void> {
  await using rig = await startRig()
  await using publisher = await PacketFlow.connect(rig.a, { clientId: 'publisher' })
  const start = performance.now()
  await retainAll(publisher)
  const tookS = (performance.now() - start) / 1_000
  print(`${TOPICS} new retained topics`, `${(TOPICS / tookS).toFixed(0)} topics/s`)
  await rig.quiet()

  let [received, answered] = [0, 0]
  await using subscriber = await PacketFlow.connect(rig.b, { clientId: 's' }, ({ type }) => {
    if (type === 'publish') received += 1
    else answered += 1
  })
  const subscribe = async (run: number): Promise<number> => {
    const filter = `site/+/alarm-${run}`
    const began = performance.now()
    const end = received + MATCHES
    subscriber.send(encodeSubscribe(1, [[filter, 0]]))
    await subscriber.until(() => received >= end, `all of ${filter}`)
    const tookMs = performance.now() - began
    const answers = answered + 1
    subscriber.send(encodeUnsubscribe(2, [filter]))
    await subscriber.until(() => answered >= answers, 'UNSUBACK')
    return tookMs
  }
  const title = `SUBSCRIBE to the last of ${MATCHES} matches among ${TOPICS} retained`
  for (const kind of ['a new filter', 'a known filter']) {
    const times: number[] = []
    for (let run = 0; run < RUNS; run++) times.push(await subscribe(run))
    const { median, min, max } = spreadOf(times) ?? { median: 0, min: 0, max: 0 }
    const [middle, least, most] = [median, min, max].map((ms) => ms.toFixed(1))
    print(`${title}, ${kind}`, `median ${middle} ms (${least} to ${most}; goal < 5)`)
  }
}

async function retainAll(publisher: PacketFlow): Promise<void> {
  let [sent, acknowledged] = [0, 0]
  const fill = (): void => {
    const frames: Buffer[] = []
    while (sent < TOPICS && sent - acknowledged < WINDOW) {
      const packetId = (sent % 65_000) + 1
      const topic = topicOf(sent)
      frames.push(encodePublish({ topic, payload: PAYLOAD, qos: 1, retain: true, packetId }))
      sent += 1
    }
    if (frames.length > 0) publisher.send(...frames)
  }
  publisher.onPacket = () => {
    acknowledged += 1
    fill()
  }
  fill()
  await publisher.until(() => acknowledged === TOPICS, 'all PUBACKs', 120_000)
}

function topicOf(index: number): string {
  const run = Math.floor(index / MATCHES)
  const site = `site/${index % 1_000}`
  return run < RUNS ? `${site}/alarm-${run}` : `${site}/device-${index}/state`
}
