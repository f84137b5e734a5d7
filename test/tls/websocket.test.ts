/** MQTT over WebSocket: accepted and refused requests, and packets across message boundaries. */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { Authority } from '@breakwater/broker'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import { WebSocketStream } from '../../packages/broker/src/listen/websocket-stream.ts'
import { unique } from '../conformance/suite.ts'
import { startNode, type LogLine, type TestNode } from '../kit/node.ts'
import { WireDecoder } from '../kit/wire-decoder.ts'
import * as wire from '../kit/wire-encoder.ts'
import { MountedSecret } from './mounted-secret.ts'

const WSS = 0
const WS = 1
const MTLS = 2
const BATCH = 3

const authority = await Authority.create('devices')
let node: TestNode
beforeAll(async () => {
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  node = await startNode({
    limits: { packetBytesMax: 100_000, handshakeTimeoutMs: 500, stallTimeoutMs: 1_000 },
    listen: [
      'wss://127.0.0.1:0/fleet?origin=https://fleet.example',
      'ws://127.0.0.1:0',
      `wss://127.0.0.1:0?client-auth=required&client-ca=${secret.path('ca.crt')}&identity=cn&origin=https://fleet.example`,
      'ws://127.0.0.1:0?frames=batch',
    ],
  })
})
afterAll(() => node[Symbol.asyncDispose]())

async function open(
  listener: number,
  path: string,
  options: ClientOptions & { protocols?: string[] } = {},
): Promise<WebSocket> {
  const { protocols = ['mqtt'], ...rest } = options
  const scheme = listener === WS || listener === BATCH ? 'ws' : 'wss'
  const url = `${scheme}://localhost:${node.ports[listener]}${path}`
  const socket = new WebSocket(url, protocols, { ca: node.ca, family: 4, ...rest })
  await once(socket, 'open')
  return socket
}

/** The next connection that ends for this reason, seen from a place in the log. */
function nextEnd(from: number, reason: string): Promise<LogLine> {
  return node.logged((line) => line['reason'] === reason && node.logs().indexOf(line) >= from)
}

describe.each([
  ['wss', WSS, '/fleet'],
  ['ws', WS, '/mqtt'],
] as const)('a %s listener', (scheme, listener, path) => {
  it('carries MQTT.js with every QoS', async () => {
    const client = await connectAsync(`${scheme}://localhost:${node.ports[listener]}${path}`, {
      ca: node.ca,
      clientId: unique('c'),
      reconnectPeriod: 0,
      wsOptions: { ca: node.ca },
    })
    const topic = unique('t')
    const payloads: string[] = []
    client.on('message', (_topic, payload) => payloads.push(payload.toString()))
    await client.subscribeAsync(topic, { qos: 2 })
    for (const qos of [0, 1, 2] as const) await client.publishAsync(topic, `${qos}`, { qos })
    await expect.poll(() => payloads.toSorted()).toEqual(['0', '1', '2'])
    await client.endAsync()
  })

  it('accepts packets in pieces and several packets in one message', async () => {
    const socket = await open(listener, path)
    const received: Buffer[] = []
    socket.on('message', (data: Buffer) => received.push(data))
    const connect = wire.encodeConnect({ clientId: unique('c') })
    socket.send(connect.subarray(0, 5))
    socket.send(connect.subarray(5, 6))
    socket.send(Buffer.concat([connect.subarray(6), wire.encodePingreq(), wire.encodePingreq()]))
    await expect
      .poll(() => new WireDecoder().push(Buffer.concat(received)).map(({ type }) => type))
      .toEqual(['connack', 'pingresp', 'pingresp'])
    socket.terminate()
  })

  it('accepts a packet in fragments with pings between them', async () => {
    const socket = await open(listener, path)
    const pong = once(socket, 'pong')
    const connect = wire.encodeConnect({ clientId: unique('c') })
    const message = once(socket, 'message')
    connect.forEach((byte, at) => {
      if (at === 3) socket.ping()
      socket.send(Buffer.of(byte), { binary: true, fin: at === connect.length - 1 })
    })
    const [[connack]] = (await Promise.all([message, pong])) as [[Buffer], unknown]
    expect(connack[3]).toBe(0)
    socket.terminate()
  })

  it('sends each packet in its own message, also a large one', async () => {
    const socket = await open(listener, path)
    const messages: Buffer[] = []
    socket.on('message', (data: Buffer) => messages.push(data))
    const topic = unique('t')
    const payloads = [Buffer.from('a'), Buffer.alloc(130, 'b'), Buffer.alloc(90_000, 'c')]
    socket.send(wire.encodeConnect({ clientId: unique('c') }))
    await expect.poll(() => messages.length).toBe(1)
    socket.send(
      Buffer.concat([
        wire.encodeSubscribe(1, [[topic, 0]]),
        ...payloads.map((payload) => wire.encodePublish({ topic, payload, qos: 0 })),
        wire.encodePingreq(),
      ]),
    )
    await expect.poll(() => messages.length).toBe(6)
    for (const data of messages) expect(new WireDecoder().push(data)).toHaveLength(1)
    socket.terminate()
  })

  it.each([
    ['another path', '/other', {}, 404],
    ['no sub-protocol', path, { protocols: [] }, 400],
    ['another sub-protocol', path, { protocols: ['chat'] }, 400],
  ])('refuses %s and counts it', async (_title, at, options, status) => {
    const seen = node.logs().length
    await expect(open(listener, at, options)).rejects.toThrow(`${status}`)
    await nextEnd(seen, 'websocket-refused')
  })

  it('closes a client that sends a text message or an oversized message, each with its reason', async () => {
    for (const [data, reason] of [
      ['text', 'protocol-violation'],
      [Buffer.alloc(200_000), 'packet-too-large'],
      [wire.encodePingreq(), 'protocol-violation'],
    ] as const) {
      const seen = node.logs().length
      const socket = await open(listener, path)
      socket.on('error', () => undefined)
      const closed = once(socket, 'close')
      socket.send(data)
      await closed
      expect(await nextEnd(seen, reason)).toMatchObject({ listener: scheme })
    }
  })

  it('closes a client that has not connected for an endless message, and accepts a message as large after CONNECT', async () => {
    const seen = node.logs().length
    const unfinished = { binary: true, fin: false }
    const stranger = await open(listener, path)
    stranger.on('error', () => undefined)
    const closed = once(stranger, 'close')
    for (let sent = 0; sent <= 81_920; sent += 10_240)
      stranger.send(Buffer.alloc(10_240, 0x10), unfinished)
    await closed
    const detail = 'a message of more than 81920 bytes before CONNACK'
    expect(await nextEnd(seen, 'packet-too-large')).toMatchObject({ detail })

    const client = await open(listener, path)
    client.send(wire.encodeConnect({ clientId: unique('c') }))
    await once(client, 'message')
    const publish = wire.encodePublish({
      topic: 't',
      payload: Buffer.alloc(99_000),
      qos: 1,
      packetId: 1,
    })
    const answer = once(client, 'message')
    for (let sent = 0; sent < publish.length; sent += 10_240) {
      const part = publish.subarray(sent, sent + 10_240)
      client.send(part, { binary: true, fin: sent + 10_240 >= publish.length })
    }
    expect(((await answer) as [Buffer])[0]).toEqual(Buffer.from([0x40, 2, 0, 1]))
    client.terminate()
  })

  it('closes a client after DISCONNECT, and a client that disappears', async () => {
    for (const [end, reason] of [
      [(socket: WebSocket) => socket.send(wire.encodeDisconnect()), 'disconnected'],
      [(socket: WebSocket) => socket.close(), 'connection-lost'],
      [(socket: WebSocket) => socket.terminate(), 'connection-lost'],
    ] as const) {
      const clientId = unique('c')
      const socket = await open(listener, path)
      socket.send(wire.encodeConnect({ clientId }))
      await once(socket, 'message')
      end(socket)
      const line = await node.logged(
        (one) => one['msg'] === 'connection closed' && one['clientId'] === clientId,
      )
      expect(line).toMatchObject({ reason })
    }
  })

  it('keeps back-pressure: a client that reads nothing is closed as stalled, and other clients are served', async () => {
    const clientId = unique('c')
    const topic = unique('t')
    const slow = await open(listener, path)
    slow.send(wire.encodeConnect({ clientId }))
    await once(slow, 'message')
    slow.send(wire.encodeSubscribe(1, [[topic, 0]]))
    await once(slow, 'message')
    slow.pause()
    const publisher = await open(listener, path)
    publisher.send(wire.encodeConnect({ clientId: unique('c') }))
    await once(publisher, 'message')
    const payload = Buffer.alloc(90_000)
    for (let count = 0; count < 150; count += 1)
      publisher.send(wire.encodePublish({ topic, payload, qos: 0 }))
    publisher.send(wire.encodePingreq())
    await once(publisher, 'message')
    const line = await node.logged(
      (one) => one['msg'] === 'connection closed' && one['clientId'] === clientId,
    )
    expect(line).toMatchObject({ reason: 'stalled' })
    slow.terminate()
    publisher.terminate()
  })

  it('answers plain HTTP, and closes a client that sends nothing', async () => {
    const seen = node.logs().length
    const url = `${scheme === 'ws' ? 'http' : 'https'}://localhost:${node.ports[listener]}/`
    if (scheme === 'ws') expect((await fetch(url)).status).toBe(426)
    else await open(WSS, '/none').catch(() => undefined)
    await nextEnd(seen, 'websocket-refused')
    const silent = connectTcp(node.ports[listener] as number, '127.0.0.1')
    const later = node.logs().length
    await once(silent, 'close')
    await nextEnd(later, 'handshake-timeout')
  })
})

describe('a browser page', () => {
  it.each([
    ['https://fleet.example', undefined],
    ['https://evil.example', '403'],
  ] as const)('is accepted or refused by its origin: %s', async (origin, refusal) => {
    const opening = open(WSS, '/fleet', { origin })
    if (refusal !== undefined) {
      await expect(opening).rejects.toThrow(refusal)
      return
    }
    const socket = await opening
    socket.terminate()
  })
})

it('a WebSocket listener with frames=batch sends all packets of a write in one message', async () => {
  const socket = await open(BATCH, '/mqtt')
  const messages: Buffer[] = []
  socket.on('message', (data: Buffer) => messages.push(data))
  const pings = Array.from({ length: 5 }, () => wire.encodePingreq())
  socket.send(Buffer.concat([wire.encodeConnect({ clientId: unique('c') }), ...pings]))
  await expect.poll(() => new WireDecoder().push(Buffer.concat(messages)).length).toBe(6)
  expect(messages.length).toBeLessThan(6)
  socket.terminate()
})

it('WebSocket packets of one turn leave in one write, each in its own frame', () => {
  const writes: Buffer[] = []
  const transport = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      writes.push(chunk)
      done()
    },
  })
  const socket = new WebSocket(null as unknown as string, undefined, {})
  Object.defineProperty(socket, 'readyState', { value: WebSocket.OPEN })
  const options = { frames: 'packet', earlyBytesMax: 100_000 } as const
  const stream = new WebSocketStream(socket, transport, options)
  stream.write(Buffer.concat([wire.encodePingreq(), wire.encodePingreq(), wire.encodePingreq()]))
  expect(writes.map((bytes) => bytes.toString('hex'))).toEqual(['8202c0008202c0008202c000'])
})

it('a client certificate gives the user name over WebSocket as well', async () => {
  const pair = await authority.issue({ commonName: 'buoy', usage: 'client' })
  const socket = await open(MTLS, '/mqtt', { ...pair })
  socket.send(wire.encodeConnect({ clientId: unique('c'), username: 'somebody', password: 'x' }))
  const [connack] = (await once(socket, 'message')) as [Buffer]
  expect(connack[3]).toBe(5)
  const seen = node.logs().length
  await expect(open(MTLS, '/mqtt')).rejects.toThrow()
  await nextEnd(seen, 'certificate-refused')
})
