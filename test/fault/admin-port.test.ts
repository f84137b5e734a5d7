/** Connections that fill the admin port do not keep probes from being answered. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { startNode, type TestNode } from '../kit/node.ts'
import { MetricsPage } from './metrics-page.ts'

const listen = ['mqtt://127.0.0.1:0']

/** Connections that have sent this, and no more; whatever becomes of them. */
async function fill({ adminPort }: TestNode, count: number, sent: string): Promise<Socket[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(adminPort, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.resume()
      await once(socket, 'connect')
      socket.write(sent)
      return socket
    }),
  )
}

it('the admin port answers probes beside 300 idle connections, 300 half-sent requests and 300 keep-alive connections', async () => {
  // Long enough that nothing but the room that is made can help.
  const limits = { adminIdleTimeoutMs: 600_000, adminRequestTimeoutMs: 600_000 }
  await using node = await startNode({ listen, limits })
  const sockets: Socket[] = []
  for (const sent of [
    '',
    'GET /readyz HTTP/1.1\r\nHost: local',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n',
  ]) {
    sockets.push(...(await fill(node, 300, sent)))
    for (const path of ['livez', 'readyz', 'startupz', 'metrics'])
      for (let count = 0; count < 10; count += 1)
        expect((await fetch(`http://127.0.0.1:${node.adminPort}/${path}`)).status).toBe(200)
  }
  const page = await MetricsPage.of(node)
  expect(page.value('breakwater_admin_connections')).toBeLessThanOrEqual(64 + 8 + 1)
  expect(page.value('breakwater_admin_refused_total', { reason: 'address-full' })).toBeGreaterThan(
    800,
  )
  for (const socket of sockets) socket.destroy()
})

it('the admin port closes only the connection that sends oversized or invalid headers', async () => {
  await using node = await startNode({ listen })
  const answers = await Promise.all(
    ['x'.repeat(20_000), `GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`].map(
      async (sent) => {
        const socket = connect(node.adminPort, '127.0.0.1')
        socket.on('error', () => undefined)
        socket.write(sent)
        let said = ''
        for await (const chunk of socket) said += String(chunk)
        return said.split('\r\n', 1)[0]
      },
    ),
  )
  expect(answers).toEqual([
    'HTTP/1.1 400 Bad Request',
    'HTTP/1.1 431 Request Header Fields Too Large',
  ])
  expect((await fetch(`http://127.0.0.1:${node.adminPort}/livez`)).status).toBe(200)
})
