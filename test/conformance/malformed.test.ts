import { afterAll, beforeEach, expect, it } from 'vitest'
import type { WireClient } from '../kit/wire-client.ts'
import { encodeWords, readMalformedPackets } from './malformed-packet.ts'
import { conformance, unique, type Broker } from './suite.ts'

const FAULTS = ['malformed-packet', 'protocol-violation']

for (const { title, packets } of readMalformedPackets()) {
  conformance(`Malformed packets: ${title}`, {}, (broker) => {
    /** Lives through all of it and sees everything that is published. */
    let healthy: WireClient | undefined
    beforeEach(async () => {
      if (healthy && !healthy.isClosed) return
      healthy = await broker.connect()
      await healthy.subscribe(['#', 1])
    })
    afterAll(() => healthy?.[Symbol.asyncDispose]())

    for (const packet of packets) {
      it(`[${packet.clause}] ${packet.name}: the connection is closed, and no other client is disturbed`, async ({
        onTestFailed,
      }) => {
        // What a failure leaves behind in this connection is no fault of the next packet.
        onTestFailed(() => healthy?.drop())
        const start = unique('malformed')
        const names = { id: unique('c'), topic: `${start}/topic` }
        const will = { topic: `${start}/will`, payload: packet.name }
        const loggedBefore = broker.target.closeReasons?.().length ?? 0
        await using client =
          packet.when === 'first' ? await broker.open() : await broker.connect({ will })
        client.send(encodeWords(packet.bytes, names))
        if (packet.end) client.socket.end()
        await client.expectClosed()

        // Of a client that had been accepted, the will is published; of the packet, nothing is.
        const topics = packet.when === 'first' ? [] : [will.topic]
        expect(await receiveUntilWell(healthy, start, topics.length)).toEqual(topics)
        await expectReason(broker, loggedBefore, packet.reason)
      })
    }
  })
}

/**
 * A message that the healthy client publishes to itself comes, and `count` others of this test before
 * it. Late messages of an earlier test that failed are left out.
 */
async function receiveUntilWell(
  healthy: WireClient | undefined,
  start: string,
  count: number,
): Promise<string[]> {
  const topics: string[] = []
  const isOfEarlierTest = (topic: string): boolean =>
    topic.startsWith('malformed-') && !topic.startsWith(`${start}/`)
  const receive = async (): Promise<string> => {
    for (;;) {
      const message = (await healthy?.receive(1))?.[0]
      if (!message) throw new Error('there is no healthy client')
      if (!isOfEarlierTest(message.topic)) return message.topic
    }
  }
  while (topics.length < count) topics.push(await receive())
  await healthy?.publish({ topic: `${start}/well`, qos: 1 })
  for (let topic = await receive(); topic !== `${start}/well`; topic = await receive()) {
    topics.push(topic)
  }
  return topics
}

/** Where the broker says why it closes connections, it has said so for this one. */
async function expectReason(broker: Broker, since: number, reason?: string): Promise<void> {
  const { closeReasons } = broker.target
  if (!closeReasons) return
  const wanted = reason === undefined ? FAULTS : [reason]
  await expect
    .poll(() => closeReasons().slice(since))
    .toSatisfy((logged: string[]) => logged.some((one) => wanted.includes(one)))
}
