/** Nodes of one cluster on one Redis, in this process, and clients at each of them. */
import { expect } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type NodeOptions, type TestNode } from '../kit/node.ts'
import { startRedis, type TestRedis } from '../kit/redis/redis.ts'
import { WireClient, type WireOptions } from '../kit/wire-client.ts'
import { encodePuback, type ConnectFields } from '../kit/wire-encoder.ts'
import { startRedisProxy, type RedisProxy } from '../kit/redis/redis-proxy.ts'

export interface Cluster extends AsyncDisposable {
  readonly redis: TestRedis
  /** What the nodes take for Redis. */
  readonly proxy: RedisProxy
  /** The first three nodes, under the names that the tests give them. */
  readonly a: TestNode
  readonly b: TestNode
  readonly c: TestNode
  /** One more node, of the same cluster and with the same settings. */
  join(): Promise<TestNode>
  /** What a node needs to know to belong to this cluster. */
  readonly settings: NodeOptions
}

/** `redisArguments` are for redis-server. */
export async function startCluster(
  options: NodeOptions = {},
  redisArguments: readonly string[] = [],
): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis({ args: redisArguments }))
  const proxy = stack.use(await startRedisProxy(redis.url))
  const settings = { ...options, redisUrl: proxy.url, redisPrefix: redis.prefix }
  const join = async (): Promise<TestNode> => resources.use(await startNode(settings))
  // The first one makes the development CA that the others reuse.
  const a = stack.use(await startNode(settings))
  const b = stack.use(await startNode(settings))
  const c = stack.use(await startNode(settings))
  const resources = stack.move()
  return {
    redis,
    proxy,
    a,
    b,
    c,
    join,
    settings,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** A client that this node has accepted; its client id is unique unless one is given. */
export async function connectAt(
  node: Pick<TestNode, 'host' | 'port'>,
  fields: ConnectFields = {},
  options: WireOptions = {},
): Promise<WireClient> {
  const client = await WireClient.open(node, options)
  const connack = await client.connect({ clientId: unique('c'), ...fields })
  expect(connack.returnCode).toBe(0)
  return client
}

/**
 * Waits until what this client has acknowledged has left its queue: its node writes in order, and this
 * retained message behind the acknowledgements. A client that moves without waiting may see a message
 * again, with DUP.
 */
export async function acknowledgementsStored(client: WireClient): Promise<void> {
  await client.publish({ topic: unique('settled'), payload: '', qos: 1, retain: true })
}

/** Reads and acknowledges messages until one has this payload; gives the payloads before it. */
export async function receiveUntil(client: WireClient, marker: string): Promise<string[]> {
  const payloads: string[] = []
  for (;;) {
    const message = await client.take('publish')
    if (message.qos === 1) client.send(encodePuback(message.packetId))
    if (message.payload.toString() === marker) return payloads
    payloads.push(message.payload.toString())
  }
}
