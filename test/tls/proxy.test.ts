/** Listeners behind a proxy: the client's address comes from the PROXY header, and only from named proxies. */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Authority } from '@breakwater/broker'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unique } from '../conformance/suite.ts'
import { startNode, type LogLine, type TestNode } from '../kit/node.ts'
import { encodeConnect } from '../kit/wire-encoder.ts'
import { MountedSecret } from './mounted-secret.ts'

const PLAIN = 0
const TLS = 1
const ELSEWHERE = 2
const CLAIMS = 3

const HEADER = 'PROXY TCP4 10.1.2.3 10.0.0.1 40000 8883\r\n'
/** Version 2 with a common name that TLS has not proved. */
const V2 = Buffer.concat([
  Buffer.from('0d0a0d0a000d0a515549540a2111001b', 'hex'),
  Buffer.from([10, 1, 2, 3, 10, 0, 0, 1, 0x9c, 0x40, 0x22, 0xb3]),
  Buffer.from([0x20, 0, 12, 0, 0, 0, 0, 0, 0x22, 0, 4]),
  Buffer.from('buoy'),
])

const authority = await Authority.create('devices')
let node: TestNode
beforeAll(async () => {
  const secret = new MountedSecret({ 'ca.crt': authority.pair.cert })
  node = await startNode({
    users: { keeper: 'of: the light' },
    limits: { handshakeTimeoutMs: 400 },
    listen: [
      'mqtt://127.0.0.1:0?proxy=127.0.0.0/8,10.0.0.0/8',
      'mqtts://127.0.0.1:0?proxy=127.0.0.1',
      'mqtt://127.0.0.1:0?proxy=10.0.0.0/8',
      `mqtts://127.0.0.1:0?proxy=127.0.0.1&client-auth=optional&identity=cn&client-ca=${secret.path('ca.crt')}`,
    ],
  })
})
afterAll(() => node[Symbol.asyncDispose]())

async function open(listener: number): Promise<Socket> {
  const socket = connectTcp(node.ports[listener] as number, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

function endOf(clientId: string): Promise<LogLine> {
  return node.logged((line) => line['msg'] === 'connection closed' && line['clientId'] === clientId)
}

/** Reason and detail of the next end of a socket that never got as far as a client id. */
function nextRefusal(from: number): Promise<LogLine> {
  return node.logged(
    (line) =>
      line['msg'] === 'connection closed' &&
      line['clientId'] === undefined &&
      node.logs().indexOf(line) >= from,
  )
}

const keeper = { username: 'keeper', password: 'of: the light' }

describe('a listener behind a proxy:', () => {
  it.each([
    [
      'in one piece with CONNECT',
      (header: Buffer, rest: Buffer) => [Buffer.concat([header, rest])],
    ],
    [
      'byte by byte',
      (header: Buffer, rest: Buffer) => [...Array.from(header, (byte) => Buffer.of(byte)), rest],
    ],
  ])('a client has the address of the PROXY header, sent %s', async (_title, pieces) => {
    const clientId = unique('c')
    const socket = await open(PLAIN)
    socket.setNoDelay(true)
    const connect = encodeConnect({ clientId, ...keeper })
    for (const piece of pieces(Buffer.from(HEADER), connect)) {
      socket.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const [connack] = (await once(socket, 'data')) as [Buffer]
    expect(connack[3]).toBe(0)
    socket.destroy()
    expect(await endOf(clientId)).toMatchObject({ peer: '10.1.2.3:40000' })
  })

  it('TLS begins after the PROXY header, in the same write or later', async () => {
    const clientId = unique('c')
    const raw = await open(TLS)
    raw.write(HEADER)
    const socket = connectTls({ socket: raw, ca: node.ca, servername: 'localhost' })
    await once(socket, 'secureConnect')
    socket.write(encodeConnect({ clientId, ...keeper }))
    const [connack] = (await once(socket, 'data')) as [Buffer]
    expect(connack[3]).toBe(0)
    socket.destroy()
    expect(await endOf(clientId)).toMatchObject({ peer: '10.1.2.3:40000' })
  })

  it('a certificate that only the PROXY header names identifies no client', async () => {
    const clientId = unique('c')
    const raw = await open(CLAIMS)
    raw.write(V2)
    const socket = connectTls({ socket: raw, ca: node.ca, servername: 'localhost' })
    await once(socket, 'secureConnect')
    socket.write(encodeConnect({ clientId }))
    const [connack] = (await once(socket, 'data')) as [Buffer]
    expect(connack[3]).toBe(5)
    const line = await node.logged(({ msg }) => msg === 'proxy claims')
    expect(line).toMatchObject({ peer: '10.1.2.3:40000', claims: { commonName: 'buoy' } })
  })

  it.each([
    ['a missing PROXY header', PLAIN, encodeConnect({ clientId: 'x' }), 'no PROXY header'],
    ['TLS without a PROXY header', TLS, Buffer.from([0x16, 3, 1, 2, 0]), 'no PROXY header'],
    ['an invalid PROXY header', PLAIN, 'PROXY TCP4 x\r\n', 'a PROXY header that cannot be read'],
    ['a PROXY header from an unknown proxy', ELSEWHERE, HEADER, 'not from a proxy that is named'],
  ])('%s closes the connection with a reason', async (_title, listener, bytes, detail) => {
    const seen = node.logs().length
    const socket = await open(listener)
    const closed = once(socket, 'close')
    socket.write(bytes)
    socket.resume()
    await closed
    expect(await nextRefusal(seen)).toMatchObject({ reason: 'proxy-refused', detail })
  })

  it('a client that sends half a PROXY header is closed at the time-out, or when it disconnects', async () => {
    const seen = node.logs().length
    const socket = await open(PLAIN)
    socket.write('PROXY TCP4 ')
    expect(await nextRefusal(seen)).toMatchObject({ reason: 'handshake-timeout' })
    const later = node.logs().length
    const other = await open(TLS)
    other.write('PROXY ')
    other.end()
    expect(await nextRefusal(later)).toMatchObject({ reason: 'proxy-refused' })
    socket.destroy()
    const last = node.logs().length
    const reset = await open(TLS)
    reset.write('PROXY ')
    reset.resetAndDestroy()
    await nextRefusal(last)
  })
})
