/*
 * A client that writes and closes at once, as clients that publish a single message do: its packets take effect in
 * order, and its DISCONNECT counts, also where the node was not reading at that moment.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { startRedis } from '../kit/redis/redis.ts'
import { WireClient } from '../kit/wire-client.ts'
import * as wire from '../kit/wire-encoder.ts'

const WILL = { topic: 'last/will', payload: 'will', qos: 1 } as const
const WORDS = [
  wire.encodePublish({ topic: 'last/words', payload: '1' }),
  wire.encodePublish({ topic: 'last/words', payload: '2', qos: 1, packetId: 1 }),
  wire.encodePublish({ topic: 'last/words', payload: '3' }),
]

/** What a subscriber gets of a client that ends its socket behind this; the end is awaited. */
async function heard(
  node: TestNode,
  clientId: string,
  speak: () => Promise<void>,
): Promise<string[]> {
  await using subscriber = await WireClient.open(node)
  await subscriber.connect({ clientId: 'subscriber' })
  await subscriber.subscribe(['last/#', 0])
  await speak()
  await node.logged((line) => line['msg'] === 'connection closed' && line['clientId'] === clientId)
  await using publisher = await WireClient.open(node)
  await publisher.connect({ clientId: 'fence' })
  await publisher.publish({ topic: 'last/fence', payload: 'fence', qos: 1 })
  const payloads: string[] = []
  for (;;) {
    const { payload } = await subscriber.expect('publish')
    if (String(payload) === 'fence') return payloads
    payloads.push(String(payload))
  }
}

async function speakAndEnd(
  node: TestNode,
  transport: Transport,
  frames: readonly Buffer[],
): Promise<void> {
  const { host, port, tlsPort, ca } = node
  const socket =
    transport === 'tls' ? connectTls({ host, port: tlsPort, ca }) : connect({ host, port })
  socket.on('error', () => undefined)
  socket.resume()
  socket.end(Buffer.concat(frames))
  await once(socket, 'close')
}

const reasonOf = (node: TestNode, clientId: string): unknown =>
  node
    .logs()
    .find((line) => line['msg'] === 'connection closed' && line['clientId'] === clientId)?.[
    'reason'
  ]

const TRANSPORTS = ['tcp', 'tls'] as const
type Transport = (typeof TRANSPORTS)[number]

/** With a node that waits in between: for its store, or for the publish rate. */
const SITUATIONS: readonly {
  readonly title: string
  readonly store: 'memory' | 'redis'
  readonly limits: NonNullable<NodeOptions['limits']>
}[] = [
  { title: 'memory', store: 'memory', limits: {} },
  {
    title: 'memory, above the publish rate',
    store: 'memory',
    limits: { publishMessagesPerSecondMax: 2 },
  },
  { title: 'redis', store: 'redis', limits: {} },
]
const CASES = SITUATIONS.flatMap((situation) =>
  TRANSPORTS.map((transport) => ({ ...situation, transport })),
)

describe.each(CASES)(
  'the packets of a client that closes right after sending ($title, $transport)',
  ({ store, limits, transport }) => {
    async function start(): Promise<{ node: TestNode; resources: AsyncDisposableStack }> {
      await using resources = new AsyncDisposableStack()
      const redis = store === 'redis' ? resources.use(await startRedis()) : undefined
      const options = redis ? { redisUrl: redis.url, redisPrefix: redis.prefix } : {}
      const node = resources.use(await startNode({ limits, ...options }))
      return { node, resources: resources.move() }
    }

    it('take effect when one write holds everything from CONNECT to DISCONNECT', async () => {
      const { node, resources } = await start()
      await using _ = resources
      const hello = wire.encodeConnect({ clientId: 'speaker', will: WILL })
      const payloads = await heard(node, 'speaker', () =>
        speakAndEnd(node, transport, [hello, ...WORDS, wire.encodeDisconnect()]),
      )
      expect(payloads).toEqual(['1', '2', '3'])
      expect(reasonOf(node, 'speaker')).toBe('disconnected')
    })

    it('take effect when the client sends packets and DISCONNECT after its CONNACK, and the will is not published', async () => {
      const { node, resources } = await start()
      await using _ = resources
      const payloads = await heard(node, 'speaker', async () => {
        const { host, port, tlsPort, ca } = node
        const client = await WireClient.open(
          transport === 'tls' ? { host, port: tlsPort, tls: { ca } } : { host, port },
        )
        await client.connect({ clientId: 'speaker', will: WILL })
        client.socket.end(Buffer.concat([...WORDS, wire.encodeDisconnect()]))
        await client.untilClosed()
      })
      expect(payloads).toEqual(['1', '2', '3'])
      expect(reasonOf(node, 'speaker')).toBe('disconnected')
    })

    it('take effect before the will when the client closes without DISCONNECT', async () => {
      const { node, resources } = await start()
      await using _ = resources
      const hello = wire.encodeConnect({ clientId: 'speaker', will: WILL })
      const payloads = await heard(node, 'speaker', () =>
        speakAndEnd(node, transport, [hello, ...WORDS]),
      )
      expect(payloads).toEqual(['1', '2', '3', 'will'])
      expect(reasonOf(node, 'speaker')).toBe('connection-lost')
    })
  },
)
