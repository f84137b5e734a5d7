/** A node dies without a word: what it has acknowledged is there, and its clients go on elsewhere. */
import { expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { spawnNode } from '../kit/node.ts'
import type { WireClient } from '../kit/wire-client.ts'
import { encodePuback, encodePublish } from '../kit/wire-encoder.ts'
import { connectAt, startCluster } from './cluster.ts'

const ROUNDS = 5
/** Killed when this many publishes have been acknowledged; more are under way at that moment. */
const ACKNOWLEDGED = 300
const AHEAD = 50
const MARKER = 'the end'

it(`no acknowledged QoS 1 message is lost when its node is killed, ${ROUNDS} times`, async () => {
  await using cluster = await startCluster()
  for (let round = 0; round < ROUNDS; round++) {
    await using doomed = await spawnNode(cluster.settings)
    const topic = unique('t')
    const persistent = (at: typeof cluster.a, clientId: string): Promise<WireClient> =>
      connectAt(at, { clientId, clean: false })
    const [offline, onDoomed, elsewhere] = [unique('off'), unique('on'), unique('else')]
    for (const [node, clientId] of [
      [doomed, offline],
      [doomed, onDoomed],
      [cluster.b, elsewhere],
    ] as const) {
      await using client = await persistent(node, clientId)
      await client.subscribe([topic, 1])
      await client.disconnect()
    }
    await using connected = await persistent(cluster.b, elsewhere)
    const received = { [elsewhere]: collect(connected), [offline]: [], [onDoomed]: [] }
    await using orphan = await persistent(doomed, onDoomed)
    const before = collect(orphan).catch(() => [])

    await using publisher = await connectAt(doomed)
    const acknowledged = await publishUntilKilled(publisher, topic, () => doomed.kill('SIGKILL'))
    await before
    expect(acknowledged).toBeGreaterThanOrEqual(ACKNOWLEDGED)

    await using successor = await connectAt(cluster.a)
    await successor.publish({ topic, payload: MARKER, qos: 1 })
    await using resumedAtC = await persistent(cluster.c, offline)
    await using resumedAtB = await persistent(cluster.b, onDoomed)
    for (const [who, payloads] of [
      ['connected elsewhere', await received[elsewhere]],
      ['offline', await collect(resumedAtC)],
      ['connected to the killed node', [...(await before), ...(await collect(resumedAtB))]],
    ] as const) {
      const seen = new Set(payloads)
      const missing = Array.from({ length: acknowledged }, (_, index) => String(index)).filter(
        (payload) => !seen.has(payload),
      )
      expect(missing, who).toEqual([])
    }
  }
})

/** Keeps `AHEAD` publishes under way, numbered from 0; gives how many were acknowledged. */
async function publishUntilKilled(
  publisher: WireClient,
  topic: string,
  kill: () => Promise<void>,
): Promise<number> {
  let sent = 0
  let acknowledged = 0
  const send = (): void => {
    const packetId = publisher.nextPacketId()
    publisher.send(encodePublish({ topic, payload: String(sent), qos: 1, packetId }))
    sent += 1
  }
  while (sent < AHEAD) send()
  while (acknowledged < ACKNOWLEDGED) {
    await publisher.expect('puback')
    acknowledged += 1
    send()
  }
  const killed = kill()
  const rest = await publisher.untilClosed()
  await killed
  return acknowledged + rest.length
}

/** What comes until the marker, or (rejected before it) until the connection ends. */
async function collect(client: WireClient): Promise<string[]> {
  const payloads: string[] = []
  for (;;) {
    const message = await client.take('publish').catch(() => undefined)
    if (message === undefined) return payloads
    client.send(encodePuback(message.packetId))
    const payload = message.payload.toString()
    if (payload === MARKER) return payloads
    payloads.push(payload)
  }
}
