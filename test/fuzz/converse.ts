/** Holds one conversation with a node, over the transport that it asks for, to its end. */
import type { EventEmitter } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { setImmediate as immediate } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Conversation, Transport } from './conversation.ts'

/** What the node listens on. */
export const FUZZ_LISTEN: Readonly<Record<Transport, string>> = {
  tcp: 'mqtt://127.0.0.1:0',
  tls: 'mqtts://127.0.0.1:0',
  ws: 'ws://127.0.0.1:0/mqtt',
  wss: 'wss://127.0.0.1:0/mqtt',
}

export interface FuzzTarget {
  readonly ports: Readonly<Record<Transport, number>>
  /** PEM. */
  readonly ca: string
}

const CLOSE_TIMEOUT_MS = 30_000
const END_AFTER_MS = 200

/** Resolves when the connection is gone. @throws {Error} it is not, long after its client has ended it */
export async function converse(target: FuzzTarget, conversation: Conversation): Promise<void> {
  const { transport, trouble, bytes } = conversation
  const socket = connect(target.ports[transport], '127.0.0.1')
  socket.on('error', () => undefined)
  let timer: NodeJS.Timeout | undefined
  const hangs = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the node keeps a connection that its client has ended (${transport})`))
    }, CLOSE_TIMEOUT_MS)
  })
  try {
    const isPlain = transport === 'tcp' || trouble === 'plain'
    const over = isPlain ? overNothing : transport === 'tls' ? overTls : overWebSocket
    await Promise.race([over(target, socket, conversation), hangs])
  } catch (cause) {
    throw new Error(`after ${bytes.toString('hex')}`, { cause })
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

async function overNothing(
  _target: FuzzTarget,
  raw: Socket,
  conversation: Conversation,
): Promise<void> {
  const closed = eventOf(raw, 'close')
  raw.resume()
  await writeAll(raw, conversation, raw)
  await closed
}

async function overTls({ ca }: FuzzTarget, raw: Socket, conversation: Conversation): Promise<void> {
  const socket = secured(raw, ca)
  const closed = eventOf(raw, 'close')
  socket.on('error', () => undefined)
  socket.resume()
  await Promise.race([eventOf(socket, 'secureConnect'), closed])
  if (!socket.destroyed) await writeAll(socket, conversation, raw)
  await closed
}

/** Writes the pieces one after the other and ends; what goes wrong goes wrong behind the first half. */
async function writeAll(
  socket: Socket,
  { bytes, cuts, trouble, garbage }: Conversation,
  raw: Socket,
): Promise<void> {
  const pieces = piecesOf(bytes, cuts)
  const middle = pieces.length >> 1
  for (const [index, piece] of pieces.entries()) {
    if (index === middle && trouble === 'reset') {
      raw.resetAndDestroy()
      return
    }
    if (index === middle && (trouble === 'garbage' || trouble === 'text')) raw.write(garbage)
    socket.write(piece)
    await immediate()
  }
  socket.end()
}

async function overWebSocket(
  target: FuzzTarget,
  raw: Socket,
  conversation: Conversation,
): Promise<void> {
  const { transport, bytes, cuts, trouble, garbage } = conversation
  const url = `${transport}://localhost:${target.ports[transport]}/mqtt`
  const { ca } = target
  const socket = new WebSocket(url, ['mqtt'], {
    createConnection: () => (transport === 'ws' ? raw : secured(raw, ca)),
  })
  socket.on('error', () => undefined)
  const closed = eventOf(raw, 'close')
  await Promise.race([eventOf(socket, 'open'), closed])
  if (socket.readyState !== WebSocket.OPEN) {
    raw.destroy()
    return
  }
  const pieces = piecesOf(bytes, cuts)
  const middle = pieces.length >> 1
  for (const [index, piece] of pieces.entries()) {
    if (index === middle && trouble === 'reset') {
      raw.resetAndDestroy()
      return
    }
    if (index === middle && trouble === 'garbage') raw.write(garbage)
    if (index === middle && trouble === 'text') socket.send(garbage.toString('latin1'))
    if (trouble === 'fragments') {
      const half = piece.length >> 1
      socket.send(piece.subarray(0, half), { fin: false })
      socket.ping(garbage)
      socket.send(piece.subarray(half), { fin: true })
    } else socket.send(piece)
    await immediate()
  }
  socket.close()
  // Garbage may have begun a frame for which the node waits: then the end is below WebSocket.
  const end = setTimeout(() => raw.end(), END_AFTER_MS)
  await closed
  clearTimeout(end)
}

function piecesOf(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts, bytes.length]
  return ends.map((end, index) => bytes.subarray(cuts[index - 1] ?? 0, end))
}

/** TLS over a socket that stays ours: what is written to it, and how it ends, is below TLS. */
function secured(raw: Socket, ca: string): TLSSocket {
  const below = Duplex.from({ readable: raw, writable: raw })
  below.on('error', () => undefined)
  return connectTls({ socket: below, ca, servername: 'localhost' })
}

/** Errors are what noise is for: the end follows. */
function eventOf(emitter: EventEmitter, name: string): Promise<void> {
  return new Promise((resolve) => emitter.once(name, () => resolve()))
}
