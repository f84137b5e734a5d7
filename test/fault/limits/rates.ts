import { expect } from 'vitest'
import type { Limits } from '@breakwater/config'
import { startNode } from '../../kit/node.ts'
import * as wire from '../../kit/wire-encoder.ts'
import { connect, expectReadPauses, LISTEN_PLAIN as listen, type LimitDriver } from './driver.ts'

/** Publishes 30 messages of 100 bytes at once; gives the ms until all are acknowledged, in order. */
async function publishThirty(limits: Partial<Limits>, isPaused: boolean): Promise<number> {
  await using node = await startNode({ listen, limits })
  await using client = await connect(node)
  const startedAt = performance.now()
  client.send(
    ...Array.from({ length: 30 }, (_, index) =>
      wire.encodePublish({ topic: 't', payload: 'x'.repeat(93), qos: 1, packetId: index + 1 }),
    ),
  )
  for (let packetId = 1; packetId <= 30; packetId += 1)
    expect(await client.expect('puback')).toEqual({ type: 'puback', packetId })
  const ms = performance.now() - startedAt
  if (isPaused) await expectReadPauses(node, 'publish-rate')
  return ms
}

async function driveMessages(): Promise<void> {
  // 20 at once, 9 more by the time the last one is read.
  expect(await publishThirty({ publishMessagesPerSecondMax: 20 }, true)).toBeGreaterThan(400)
  expect(await publishThirty({ publishMessagesPerSecondMax: 0 }, false)).toBeLessThan(300)
}

async function driveBytes(): Promise<void> {
  expect(await publishThirty({ publishBytesPerSecondMax: 2_000 }, true)).toBeGreaterThan(400)
  expect(await publishThirty({ publishBytesPerSecondMax: 0 }, false)).toBeLessThan(300)
}

/**
 * Sends 30 control packets at once; gives the ms until all are answered. Only PINGRESP may come before the answer to
 * an earlier packet.
 */
async function controlThirty(limits: Partial<Limits>): Promise<number> {
  await using node = await startNode({ listen, limits })
  await using client = await connect(node)
  const startedAt = performance.now()
  client.send(
    ...Array.from({ length: 30 }, (_, index) => {
      const packetId = index + 1
      if (index % 3 === 0) return wire.encodeSubscribe(packetId, [['x'.repeat(93), 0]])
      return index % 3 === 1
        ? wire.encodeUnsubscribe(packetId, ['x'.repeat(94)])
        : wire.encodePingreq()
    }),
  )
  for (let round = 0; round < 10; round += 1)
    for (const answer of ['suback', 'unsuback', 'pingresp'] as const) await client.take(answer)
  const ms = performance.now() - startedAt
  await expectReadPauses(node, 'control-rate')
  return ms
}

async function driveControlPackets(): Promise<void> {
  expect(await controlThirty({ controlPacketsPerSecondMax: 20 })).toBeGreaterThan(400)
}

async function driveControlBytes(): Promise<void> {
  // 20 of a hundred bytes each, and 10 of two.
  expect(await controlThirty({ controlBytesPerSecondMax: 1_000 })).toBeGreaterThan(400)
}

export const rateLimits = {
  controlPacketsPerSecondMax: driveControlPackets,
  controlBytesPerSecondMax: driveControlBytes,
  publishMessagesPerSecondMax: driveMessages,
  publishBytesPerSecondMax: driveBytes,
} as const satisfies Readonly<Record<string, LimitDriver>>
