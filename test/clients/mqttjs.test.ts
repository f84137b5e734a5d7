/** MQTT.js over TLS with the development CA, at three nodes. */
import { once, type EventEmitter } from 'node:events'
import { Authority } from '@breakwater/broker'
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCluster, type Cluster } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import type { TestNode } from '../kit/node.ts'

const credentials = { username: 'keeper', password: 'of: the light' } as const

let cluster: Cluster
beforeAll(async () => {
  const { username, password } = credentials
  cluster = await startCluster({ users: { [username]: password }, allowAnonymous: true })
})
afterAll(() => cluster[Symbol.asyncDispose]())

type Client = MqttClient & AsyncDisposable

async function connect(node: TestNode, options: IClientOptions = {}): Promise<Client> {
  const client = await connectAsync(`mqtts://localhost:${node.tlsPort}`, {
    ca: node.ca,
    clientId: unique('c'),
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    ...options,
  })
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.endAsync(true) })
}

interface Arrived {
  readonly topic: string
  readonly payload: string
  readonly packet: IPublishPacket
}

/** Its own emitter type is none that node:events knows. */
async function next(client: MqttClient, event: 'connect' | 'message'): Promise<unknown[]> {
  const signal = AbortSignal.timeout(5_000)
  return (await once(client as unknown as EventEmitter, event, { signal })) as unknown[]
}

async function nextMessage(client: MqttClient): Promise<Arrived> {
  const [topic, payload, packet] = (await next(client, 'message')) as [
    string,
    Buffer,
    IPublishPacket,
  ]
  return { topic, payload: payload.toString(), packet }
}

describe('MQTT.js clients of different nodes', () => {
  it.each([0, 1, 2] as const)('exchange a message with QoS %i', async (qos) => {
    const topic = unique('t')
    await using subscriber = await connect(cluster.b)
    await using publisher = await connect(cluster.a)
    expect(await subscriber.subscribeAsync(`${topic}/#`, { qos })).toMatchObject([{ qos }])
    const arrived = nextMessage(subscriber)
    await publisher.publishAsync(`${topic}/x`, 'calm water', { qos })
    expect(await arrived).toMatchObject({
      topic: `${topic}/x`,
      payload: 'calm water',
      packet: { qos, retain: false, dup: false },
    })
  })

  it('exchange a retained message', async () => {
    const topic = unique('t')
    await using publisher = await connect(cluster.a)
    await publisher.publishAsync(topic, 'kept', { qos: 1, retain: true })
    await using subscriber = await connect(cluster.c)
    const arrived = nextMessage(subscriber)
    await subscriber.subscribeAsync(topic, { qos: 1 })
    expect(await arrived).toMatchObject({ payload: 'kept', packet: { retain: true, qos: 1 } })
  })

  it('deliver missed messages to a session that resumes at a third node', async () => {
    const topic = unique('t')
    const session = { clientId: unique('c'), clean: false }
    await using first = await connect(cluster.a, session)
    await first.subscribeAsync(topic, { qos: 1 })
    await first.endAsync()
    await using publisher = await connect(cluster.b)
    for (const payload of ['one', 'two', 'three'])
      await publisher.publishAsync(topic, payload, { qos: 1 })
    const payloads: string[] = []
    await using resumed = await connect(cluster.c, session)
    resumed.on('message', (_topic, payload) => payloads.push(payload.toString()))
    await expect.poll(() => payloads).toEqual(['one', 'two', 'three'])
  })

  it('deliver the will of a client that lost its network', async () => {
    const topic = unique('t')
    await using watcher = await connect(cluster.c)
    await watcher.subscribeAsync(topic, { qos: 1 })
    const arrived = nextMessage(watcher)
    const will = { topic, payload: Buffer.from('went down'), qos: 1, retain: false } as const
    await using victim = await connect(cluster.a, { will })
    victim.stream.destroy()
    expect(await arrived).toMatchObject({ payload: 'went down' })
  })
})

describe('an MQTT.js client', () => {
  it('reconnects to its session by itself when its connection is cut', async () => {
    const topic = unique('t')
    await using client = await connect(cluster.a, { clean: false, reconnectPeriod: 50 })
    await client.subscribeAsync(topic, { qos: 1 })
    const again = next(client, 'connect')
    client.stream.destroy()
    expect((await again)[0]).toMatchObject({ sessionPresent: true, returnCode: 0 })
    const arrived = nextMessage(client)
    await client.publishAsync(topic, 'back', { qos: 1 })
    expect(await arrived).toMatchObject({ payload: 'back' })
  })

  it('with another CA refuses the node', async () => {
    const { cert } = (await Authority.create('Somebody else')).pair
    await expect(connect(cluster.a, { ca: cert })).rejects.toThrow(/unable to verify|self.signed/)
  })

  it('with the right password is served, and with a wrong password gets return code 0x04', async () => {
    await using _client = await connect(cluster.a, credentials)
    const wrong = connect(cluster.a, { ...credentials, password: 'wrong' })
    await expect(wrong).rejects.toMatchObject({ code: 4 })
  })

  it('that speaks MQTT 5 gets return code 0x01', async () => {
    await expect(connect(cluster.a, { protocolVersion: 5 })).rejects.toMatchObject({ code: 1 })
  })
})
