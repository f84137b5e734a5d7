/* What one client, one user and the cluster may take of what all share. */
import { expect } from 'vitest'
import { startNode } from '../../kit/node.ts'
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

export const shareLimits = {
  inboundQos2BytesMax: driveInboundQos2Bytes,
} as const satisfies Readonly<Record<string, LimitDriver>>
