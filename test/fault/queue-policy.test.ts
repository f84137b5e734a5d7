/** What the policies for a full queue do to messages, publishers and counters; memory and Redis alike. */
import { describe, expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import { encodePublish, encodePubrel, type ConnectFields } from '../kit/wire-encoder.ts'
import { MetricsPage } from './metrics-page.ts'

const TOPIC = 'q'
const DEVICE: ConnectFields = { clientId: 'device', clean: false }

async function connect(node: TestNode, fields: ConnectFields = {}): Promise<WireClient> {
  const client = await WireClient.open(node)
  expect(await client.connect(fields)).toMatchObject({ returnCode: 0 })
  return client
}

async function payloadsOf(client: WireClient, count: number): Promise<string[]> {
  return (await client.receive(count)).map(({ payload }) => payload.toString())
}

/** A node with a device that is away, and has room for two messages. */
async function startWith(store: string, queuePolicy: string, qos: number) {
  await using stack = new AsyncDisposableStack()
  const redis = store === 'redis' ? stack.use(await startRedis()) : undefined
  const node = stack.use(
    await startNode({
      ...(redis && { redisUrl: redis.url, redisPrefix: redis.prefix }),
      limits: { queueMessagesMax: 2 },
      environment: { BREAKWATER_QUEUE_POLICY: queuePolicy },
    }),
  )
  await using device = await connect(node, DEVICE)
  await device.subscribe([TOPIC, qos])
  await device.disconnect()
  const resources = stack.move()
  return { node, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

describe.each(['memory', 'redis'])('a full queue (%s)', (store) => {
  it('with drop-newest drops the new message, which is acknowledged and counted once as dropped', async () => {
    await using started = await startWith(store, 'drop-newest', 1)
    const { node } = started
    await using publisher = await connect(node)
    for (const payload of ['1', '2', '3', '4'])
      await publisher.publish({ topic: TOPIC, payload, qos: 1 })
    const page = await MetricsPage.of(node)
    expect(page.dropped('queue-full')).toBe(2)
    expect(page.dropped('session-gone')).toBe(0)
    await using device = await connect(node, DEVICE)
    expect(await payloadsOf(device, 2)).toEqual(['1', '2'])
    await device.expectSilence()
  })

  it('with close-publisher closes a QoS 1 publisher, and stores the message nowhere until the publisher sends it again', async () => {
    await using started = await startWith(store, 'close-publisher', 1)
    const { node } = started
    await using live = await connect(node)
    await live.subscribe([TOPIC, 1])
    await using refused = await connect(node)
    for (const payload of ['1', '2']) await refused.publish({ topic: TOPIC, payload, qos: 1 })
    const again = { topic: TOPIC, payload: '3', qos: 1, packetId: 9 } as const
    refused.send(encodePublish(again))
    await refused.expectClosed()
    expect(node.closeReasons()).toContain('subscriber-queue-full')
    const page = await MetricsPage.of(node)
    for (const reason of ['queue-full', 'session-gone']) expect(page.dropped(reason)).toBe(0)

    await using device = await connect(node, DEVICE)
    expect(await payloadsOf(device, 2)).toEqual(['1', '2'])
    await using publisher = await connect(node)
    // The queue has room when the acknowledgements have been stored.
    await device.publish({ topic: 'other', payload: '', qos: 1, retain: true })
    await publisher.publish({ ...again, dup: true })
    expect(await payloadsOf(device, 1)).toEqual(['3'])
    expect(await payloadsOf(live, 3)).toEqual(['1', '2', '3'])
    await live.expectSilence()
  })

  it('with close-publisher keeps a QoS 2 message until its PUBREL is sent again', async () => {
    await using started = await startWith(store, 'close-publisher', 2)
    const { node } = started
    const fields = { clientId: 'publisher', clean: false }
    await using refused = await connect(node, fields)
    for (const payload of ['1', '2']) await refused.publish({ topic: TOPIC, payload, qos: 2 })
    refused.send(encodePublish({ topic: TOPIC, payload: '3', qos: 2, packetId: 9 }))
    await refused.expect('pubrec')
    refused.send(encodePubrel(9))
    await refused.expectClosed()
    await using device = await connect(node, DEVICE)
    expect(await payloadsOf(device, 2)).toEqual(['1', '2'])
    await device.publish({ topic: 'other', payload: '', qos: 1, retain: true })
    await using publisher = await connect(node, fields)
    publisher.send(encodePubrel(9))
    await publisher.expect('pubcomp')
    expect(await payloadsOf(device, 1)).toEqual(['3'])
    await device.expectSilence()
  })

  it('with close-publisher drops a will, which no client can send again, and counts it', async () => {
    await using started = await startWith(store, 'close-publisher', 1)
    const { node } = started
    await using publisher = await connect(node)
    for (const payload of ['1', '2']) await publisher.publish({ topic: TOPIC, payload, qos: 1 })
    await using mortal = await connect(node, { will: { topic: TOPIC, payload: 'will', qos: 1 } })
    await mortal.drop()
    await expect.poll(async () => (await MetricsPage.of(node)).dropped('queue-full', 1)).toBe(1)
    await using device = await connect(node, DEVICE)
    expect(await payloadsOf(device, 2)).toEqual(['1', '2'])
    await device.expectSilence()
  })
})
