/** A node that reads its sockets late, because its event loop was busy or its process was stopped. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { connectAt } from '../cluster/cluster.ts'
import { unique } from '../conformance/suite.ts'
import { startNode } from '../kit/node.ts'
import { encodePingreq } from '../kit/wire-encoder.ts'

/** As long as the node looks away: more than one and a half intervals. */
const AWAY_MS = 1_800

it('a client that sent its packet in time stays connected although the node reads it late [MQTT-3.1.2-24]', async () => {
  await using node = await startNode()
  await using client = await connectAt(node, { clientId: unique('c'), keepAliveSeconds: 1 })
  // It has looked since CONNECT, and is due to hear of its client.
  await delay(700)
  // The timers come next, and then the sockets.
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      client.send(encodePingreq())
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, AWAY_MS)
      resolve()
    })
  })
  expect(await client.next()).toMatchObject({ type: 'pingresp' })
  expect(node.closeReasons()).toEqual([])
})
