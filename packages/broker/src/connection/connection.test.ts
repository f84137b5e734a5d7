import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Counter } from '@breakwater/metrics'
import { describe, expect, test } from 'vitest'
import { Hold } from './hold.ts'
import type { FrameReader } from '@breakwater/mqtt'
import { Connection, type FrameHandler } from './connection.ts'
import { TurnFlusher } from './turn-flusher.ts'

/** The node's end of a socket; `written` is what the client would get. */
class Line extends Duplex {
  readonly remoteAddress = '192.0.2.1'
  readonly remotePort = 1_234
  readonly written: Buffer[] = []
  isWilling = true

  override _read(): void {
    // Bytes are pushed.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk)
    if (this.isWilling) done()
  }

  destroySoon(): void {
    this.end(() => this.destroy())
  }
}

const PINGREQ = Buffer.from([0xc0, 0])
const puback = (packetId: number): Buffer => Buffer.from([0x40, 2, 0, packetId])

/** Takes frames while it is willing; else holds the connection. */
class Taker implements FrameHandler {
  readonly frames: string[] = []
  readonly ends: string[] = []
  readonly refusals: number[] = []
  isWilling = true

  frame(connection: Connection, { buffer, start, end }: FrameReader): boolean {
    if (!this.isWilling) {
      connection.hold(Hold.CONTROL)
      return false
    }
    this.frames.push(buffer.toString('hex', start, end))
    return true
  }

  refused(returnCode: number): void {
    this.refusals.push(returnCode)
  }

  closed(_connection: Connection, reason: string): void {
    this.ends.push(reason)
  }
}

function connecting() {
  const line = new Line()
  const handler = new Taker()
  const counters = { bytes: new Counter(), writes: new Counter(), bytesIn: new Counter() }
  const connection = new Connection({
    id: 1,
    listener: 'mqtt',
    socket: line,
    peer: '127.0.0.1:1',
    network: undefined,
    certificate: undefined,
    isSilent: false,
    permit: { answered: () => undefined },
    frameBounds: { packetBytesMax: 1_000, connectBytesMax: 1_000 },
    writeBounds: { outboundMessagesMax: 4, outboundBytesMax: 10_000 },
    counters,
    flusher: new TurnFlusher(),
    handler,
    nowMs: 0,
  })
  return { line, handler, connection, counters }
}

/** Of a client that was let in. */
function setUp() {
  const parts = connecting()
  parts.connection.connected(4)
  parts.connection.letIn()
  return parts
}

const hex = (...frames: readonly Buffer[]): string[] => frames.map((bytes) => bytes.toString('hex'))

describe('frames of a connection', () => {
  test('are handled one at a time, in order, however the bytes are split', () => {
    const { handler, connection, counters } = setUp()
    const bytes = Buffer.concat([puback(1), PINGREQ, puback(2)])
    connection.read(bytes.subarray(0, 5))
    connection.read(bytes.subarray(5))
    expect(handler.frames).toEqual(hex(puback(1), PINGREQ, puback(2)))
    expect(counters.bytesIn.value).toBe(bytes.length)
  })

  test('of a client that is not accepted yet wait in its socket, complete or not [MQTT-3.1.4-5]', () => {
    // The header of a PUBLISH of 900 bytes, of which nothing else comes.
    for (const early of [puback(1), Buffer.from([0x30, 0x84, 0x07])]) {
      const { line, handler, connection } = connecting()
      connection.connected(4)
      connection.read(early)
      expect([handler.frames, connection.held, line.isPaused()]).toEqual([[], true, true])
      connection.letIn()
      connection.release(Hold.CONTROL)
      expect(connection.held).toBe(false)
      connection.read(Buffer.alloc(900))
      expect(handler.frames[0]?.slice(0, 2)).toBe(early.toString('hex', 0, 1))
    }
  })

  test('that cannot be handled yet are handled when the hold is released, followed by later frames', () => {
    const { handler, connection } = setUp()
    handler.isWilling = false
    connection.read(Buffer.concat([puback(1), puback(2)]))
    connection.read(puback(3))
    expect(handler.frames).toEqual([])
    expect(connection.held).toBe(true)
    handler.isWilling = true
    connection.release(Hold.CONTROL)
    expect(handler.frames).toEqual(hex(puback(1), puback(2), puback(3)))
    expect(connection.held).toBe(false)
  })

  test('that wait are kept when their read buffer is reused', () => {
    const { handler, connection } = setUp()
    handler.isWilling = false
    const shared = Buffer.concat([puback(1), puback(2), puback(3).subarray(0, 3)])
    connection.read(shared)
    shared.fill(0xff)
    handler.isWilling = true
    connection.release(Hold.CONTROL)
    connection.read(puback(3).subarray(3))
    expect(handler.frames).toEqual(hex(puback(1), puback(2), puback(3)))
  })

  test('wait for the last of several holds', () => {
    const { handler, connection } = setUp()
    connection.hold(Hold.RATE)
    connection.hold(Hold.DATA)
    connection.read(puback(1))
    connection.release(Hold.RATE)
    expect(handler.frames).toEqual([])
    connection.release(Hold.INBOUND)
    expect(handler.frames).toEqual([])
    connection.release(Hold.DATA)
    expect(handler.frames).toEqual(hex(puback(1)))
  })

  test('end at the first malformed frame, which closes the connection', () => {
    const { handler, connection } = setUp()
    connection.read(Buffer.concat([puback(1), Buffer.from([0x36, 0]), puback(2)]))
    connection.read(puback(3))
    expect(handler.frames).toEqual(hex(puback(1)))
    expect(handler.ends).toEqual(['malformed-packet'])
  })
})

describe('the end of a connection', () => {
  test('happens once, with its first reason, after pending bytes were written', async () => {
    const { line, handler, connection } = setUp()
    connection.writer.write(puback(9))
    connection.close('taken-over')
    connection.close('malformed-packet')
    connection.writer.write(PINGREQ)
    await turn()
    expect(handler.ends).toEqual(['taken-over'])
    expect(line.written).toEqual([puback(9)])
    expect(line.destroyed).toBe(true)
  })

  test('is announced by a CONNACK to a client that sent CONNECT and was not accepted yet', async () => {
    const { line, handler, connection } = connecting()
    connection.connected(4)
    connection.close('bad-credentials')
    await turn()
    expect(line.written).toEqual([Buffer.from([0x20, 2, 0, 4])])
    expect(handler.refusals).toEqual([4])
  })

  test('is not announced by a CONNACK to a peer that sent no CONNECT, or to an accepted client', async () => {
    const [stranger, accepted] = [connecting(), setUp()]
    stranger.connection.close('shutting-down')
    accepted.connection.close('shutting-down')
    await turn()
    expect([...stranger.line.written, ...accepted.line.written]).toEqual([])
    expect([...stranger.handler.refusals, ...accepted.handler.refusals]).toEqual([])
  })

  test('does not wait for a client that reads nothing', () => {
    const { line, connection } = setUp()
    connection.close('stalled')
    expect(line.destroyed).toBe(true)
  })

  test('has the reason connection-lost when the peer closes, and socket-error at a network error', async () => {
    const [gone, reset, broken] = [setUp(), setUp(), setUp()]
    gone.line.destroy()
    reset.line.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    broken.line.destroy(Object.assign(new Error('broken'), { code: 'EHOSTUNREACH' }))
    await turn()
    expect([gone, reset, broken].map(({ handler }) => handler.ends)).toEqual([
      ['connection-lost'],
      ['connection-lost'],
      ['socket-error'],
    ])
  })
})

describe('the idle sweep of a connection gets', () => {
  test('the time for which the client has been silent, without the time in which the node did not read', () => {
    const { connection } = setUp()
    expect(connection.silence(1_000)).toBe(0)
    expect(connection.silence(3_000)).toBe(2_000)
    connection.read(PINGREQ)
    expect(connection.silence(4_000)).toBe(0)
    connection.hold(Hold.RATE)
    expect(connection.silence(9_000)).toBe(0)
    connection.release(Hold.RATE)
    expect(connection.silence(10_000)).toBe(1_000)
  })

  test('the time for which the socket has accepted no bytes', async () => {
    const { line, connection } = setUp()
    line.isWilling = false
    expect(connection.stalledFor(1_000)).toBe(0)
    connection.writer.write(Buffer.alloc(100_000))
    await turn()
    expect(connection.stalledFor(2_000)).toBe(0)
    expect(connection.stalledFor(5_000)).toBe(3_000)
  })
})

test('a connection does not read from a client that does not read its answers, until that client reads', async () => {
  const { line, handler, connection } = setUp()
  line.isWilling = false
  connection.writer.write(Buffer.alloc(100_000))
  await turn()
  for (let count = 0; count < 4; count += 1) connection.writer.write(PINGREQ)
  connection.read(Buffer.concat([puback(1), puback(2)]))
  expect(handler.frames).toEqual(hex(puback(1)))
  expect(connection.held).toBe(true)
  connection.drained()
  expect(handler.frames).toEqual(hex(puback(1), puback(2)))
})
