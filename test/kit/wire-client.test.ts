import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { WireClient } from './wire-client.ts'
import { encodePuback, encodePublish, frame } from './wire-encoder.ts'

const PINGRESP = frame(0xd0)

/** A server that does what the test says with its one connection. */
async function listen(
  serve: (socket: Socket) => void,
): Promise<AsyncDisposable & { port: number }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function connectedTo(port: number): Promise<WireClient> {
  return WireClient.open({ host: '127.0.0.1', port }, { timeoutMs: 200 })
}

describe('the wire client', () => {
  it('names the packet that did not arrive in time', async () => {
    await using server = await listen(() => {})
    await using client = await connectedTo(server.port)
    await expect(client.expect('connack')).rejects.toThrow('connack did not come within 200 ms')
    await expect(client.expectClosed()).rejects.toThrow('the server to close did not come')
  })

  it('names the packet that did not arrive before the server closed', async () => {
    await using server = await listen((socket) => socket.end())
    await using client = await connectedTo(server.port)
    await expect(client.expect('suback')).rejects.toThrow('closed while waiting for suback')
    await client.expectClosed()
  })

  it('reports a packet that arrives instead of silence or of the end', async () => {
    await using server = await listen((socket) =>
      socket.end(Buffer.concat([encodePublish({ topic: 'a', payload: 'x' }), PINGRESP])),
    )
    await using client = await connectedTo(server.port)
    await expect(client.expectClosed()).rejects.toThrow('received publish 0 to a')
    await expect(client.expectSilence()).rejects.toThrow('received publish 0 to a')
  })

  it('reads packets that arrive in pieces, in order, and finds a packet by its type', async () => {
    await using server = await listen((socket) => {
      const bytes = Buffer.concat([encodePuback(7), encodePublish({ topic: 't' }), PINGRESP])
      for (const byte of bytes) socket.write(Uint8Array.of(byte))
    })
    await using client = await connectedTo(server.port)
    expect(await client.take('pingresp')).toEqual({ type: 'pingresp' })
    expect(await client.next()).toEqual({ type: 'puback', packetId: 7 })
    expect(await client.next()).toMatchObject({ type: 'publish', topic: 't' })
  })

  it.each([
    ['a CONNECT from a server', Buffer.from([0x10, 0])],
    ['PUBREL with wrong flags', Buffer.from([0x60, 2, 0, 1])],
    ['PUBACK with packet id 0', Buffer.from([0x40, 2, 0, 0])],
    ['a SUBACK return code of 3', Buffer.from([0x90, 3, 0, 1, 3])],
    ['PUBLISH with QoS 3', Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1])],
    ['a topic that is not UTF-8', Buffer.from([0x30, 3, 0, 1, 0xff])],
    ['a needless byte of length', Buffer.from([0xd0, 0x80, 0])],
  ])('faults a server that sends %s', async (_what, bytes) => {
    await using server = await listen((socket) => socket.write(bytes))
    await using client = await connectedTo(server.port)
    const failure: Error = await client.next().then(
      () => new Error('it was accepted'),
      (error: Error) => error,
    )
    expect(failure.cause).toMatchObject({ name: 'WireFault' })
  })

  it('sends exactly the bytes of the test', async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>()
    await using server = await listen((socket) => socket.once('data', resolve))
    await using client = await connectedTo(server.port)
    client.send(frame(0x3f, Buffer.from([0xff]), Buffer.from([0x80, 0x80])), Buffer.from([0]))
    expect((await promise).toString('hex')).toBe('3f8080ff00')
  })
})
