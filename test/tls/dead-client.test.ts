/** A client that disconnects while its TLS handshake is queued costs no handshake; a client that waits is served. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { MetricsPage } from '../fault/metrics-page.ts'
import { startNode, type TestNode } from '../kit/node.ts'
import { WireClient } from '../kit/wire-client.ts'

/** The record header and the first bytes of a ClientHello. */
const HALF_HELLO = Buffer.from('16030102000100', 'hex')
const WAIT = { timeout: 30_000 }

async function gauge(node: TestNode, of: 'handshakes' | 'held'): Promise<number> {
  return (await MetricsPage.of(node)).value(`breakwater_admission_${of}`)
}

it('a node makes no TLS handshake for a client that disconnected while waiting for the handshake', async () => {
  const limits = { handshakesMax: 1, heldTimeoutMs: 60_000, handshakeTimeoutMs: 60_000 }
  await using node = await startNode({ limits })
  const open = async () => {
    const socket = connect(node.tlsPort, node.host).on('error', () => undefined)
    await once(socket, 'connect')
    return socket
  }
  const first = await open()
  await expect.poll(() => gauge(node, 'handshakes'), WAIT).toBe(1)
  const gone = await open()
  gone.end(HALF_HELLO)
  await once(gone, 'finish')
  await expect.poll(() => gauge(node, 'held'), WAIT).toBe(1)
  const waits = WireClient.open(
    { host: node.host, port: node.tlsPort, tls: { ca: node.ca } },
    { timeoutMs: 20_000 },
  )
  await expect.poll(() => gauge(node, 'held'), WAIT).toBe(2)
  first.destroy()
  await node.logged(({ detail }) => detail === 'the client has gone before TLS')
  await using client = await waits
  expect((await client.connect({ clientId: 'waits' })).returnCode).toBe(0)
})
