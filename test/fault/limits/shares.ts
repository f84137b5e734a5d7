/* What one client, one user and the cluster may take of what all share. */
import { expect } from 'vitest'
import { startNode } from '../../kit/node.ts'
import { WireClient } from '../../kit/wire-client.ts'
import * as wire from '../../kit/wire-encoder.ts'
import { connect, LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

async function driveInboundQos2Bytes(): Promise<void> {
  await using node = await startNode({ listen, limits: { inboundQos2BytesMax: 300 } })
  for (const clean of [true, false]) {
    await using client = await connect(node, { clean })
    const publish = async (packetId: number): Promise<void> => {
      client.send(wire.encodePublish({ topic: 't', payload: 'x'.repeat(91), qos: 2, packetId }))
      await client.expect('pubrec')
    }
    for (const packetId of [1, 2, 3]) await publish(packetId)
    client.send(wire.encodePubrel(1))
    await client.expect('pubcomp')
    await publish(4)
    client.send(wire.encodePublish({ topic: 't', payload: 'x'.repeat(91), qos: 2, packetId: 5 }))
    await client.expectClosed()
    await node.logged(({ reason }) => reason === 'receive-maximum-exceeded')
  }
  expect(node.closeReasons()).toEqual(Array(2).fill('receive-maximum-exceeded'))
  // However large: one is taken.
  await using client = await connect(node)
  const large = { topic: 't', payload: 'x'.repeat(5_000), qos: 2, packetId: 1 } as const
  client.send(wire.encodePublish(large))
  await client.expect('pubrec')
}

async function driveInboundQos2BytesOfUser(): Promise<void> {
  const users = { ann: 'a', bob: 'b' }
  await using node = await startNode({ listen, users, limits: { inboundQos2BytesPerUserMax: 300 } })
  const publish = { topic: 't', payload: 'x'.repeat(99), qos: 2 } as const
  const held: WireClient[] = []
  const connectAs = async (username: string, password: string): Promise<WireClient> => {
    const client = await connect(node, { username, password })
    held.push(client)
    return client
  }
  for (let count = 0; count < 2; count += 1) {
    const client = await connectAs('ann', 'a')
    client.send(wire.encodePublish({ ...publish, packetId: 1 }))
    await client.expect('pubrec')
  }
  const last = await connectAs('ann', 'a')
  for (const packetId of [1, 2]) last.send(wire.encodePublish({ ...publish, packetId }))
  await last.expect('pubrec')
  await last.expectClosed()
  expect(node.closeReasons()).toEqual(['receive-maximum-exceeded'])
  const other = await connectAs('bob', 'b')
  for (const packetId of [1, 2, 3]) {
    other.send(wire.encodePublish({ ...publish, packetId }))
    await other.expect('pubrec')
  }
  // What ended with its connection counts no more.
  const next = await connectAs('ann', 'a')
  next.send(wire.encodePublish({ ...publish, packetId: 1 }))
  await next.expect('pubrec')
  for (const client of held) await client.drop()
}

async function driveConnectionsOfUser(): Promise<void> {
  const users = { ann: 'a', bob: 'b' }
  await using node = await startNode({ listen, users, limits: { connectionsPerUserMax: 2 } })
  const ann = { username: 'ann', password: 'a' }
  await using first = await connect(node, { ...ann, clientId: 'first' })
  await using second = await connect(node, ann)
  await using third = await WireClient.open(node)
  expect((await third.connect({ ...ann, clientId: 'third' })).returnCode).toBe(3)
  await third.expectClosed()
  expect(node.closeReasons()).toEqual(['user-connections-full'])
  await using other = await connect(node, { username: 'bob', password: 'b' })
  // One that comes back before its old connection has ended takes its place.
  await using again = await connect(node, { ...ann, clientId: 'first' })
  await first.expectClosed()
  await second.disconnect()
  await node.logged(({ reason }) => reason === 'disconnected')
  await using next = await connect(node, ann)
  for (const client of [other, again, next]) await client.expectSilence()
}

export const shareLimits = {
  connectionsPerUserMax: driveConnectionsOfUser,
  inboundQos2BytesPerUserMax: driveInboundQos2BytesOfUser,
  inboundQos2BytesMax: driveInboundQos2Bytes,
} as const satisfies Readonly<Record<string, LimitDriver>>
