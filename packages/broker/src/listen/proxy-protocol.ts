/**
 * Takes the PROXY header off a connection before anything else reads it. Only from the proxies that were
 * named (`isFromProxy`): a header of anybody else could say any address.
 */
import type { BlockList, Socket } from 'node:net'
import type { IncomingSocket } from './incoming-socket.ts'
import { readProxyHeader } from './proxy-header.ts'

export const NOT_A_PROXY = 'not from a proxy that is named'
/** A health check that connects leaves again within a round trip. */
const STRANGER_MS = 1_000

/** Calls `next` when the header was read; what came behind it is in the socket again. */
export function readProxyProtocol(
  incoming: IncomingSocket,
  timeoutMs: number,
  next: () => void,
): void {
  const { socket } = incoming
  incoming.within(timeoutMs, 'PROXY header')
  let bytes: Buffer = Buffer.alloc(0)
  const readable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const header = readProxyHeader(bytes)
    if (header === undefined) return
    if (typeof header === 'string') {
      incoming.refuse('proxy-refused', header)
      return
    }
    socket.off('readable', readable)
    socket.off('error', failed)
    socket.off('end', ended)
    incoming.stepDone()
    incoming.peer = header.peer ?? incoming.peer
    incoming.isNamed = header.peer !== undefined
    incoming.claims = header.claims
    incoming.headerBytes = header.bytes
    if (bytes.length > header.bytes) socket.unshift(bytes.subarray(header.bytes))
    next()
  }
  const failed = (error: Error): void => incoming.lost('connection-lost', error.message)
  const ended = (): void => incoming.lost('proxy-refused', 'no PROXY header')
  socket.on('readable', readable)
  socket.on('error', failed)
  socket.on('end', ended)
}

/**
 * Refuses a peer that is not among the proxies: with its first byte, or after `STRANGER_MS`. One that goes
 * without having sent a byte is a health check, such as a kubelet's.
 */
export function refuseStranger(incoming: IncomingSocket): void {
  const { socket } = incoming
  const refuse = (): void => incoming.refuse('proxy-refused', NOT_A_PROXY)
  const late = setTimeout(refuse, STRANGER_MS).unref()
  socket.once('close', () => clearTimeout(late))
  socket.on('readable', () => {
    if (socket.read() !== null) refuse()
  })
  socket.on('end', () => incoming.lost('proxy-refused', NOT_A_PROXY))
  socket.on('error', () => incoming.lost('proxy-refused', NOT_A_PROXY))
}

export function isFromProxy(proxies: BlockList, { remoteAddress = '' }: Socket): boolean {
  const address = remoteAddress.replace(/^::ffff:/, '')
  return proxies.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}
