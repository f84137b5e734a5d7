/** A TLS client of a node: what it was shown, the tickets that it got, and MQTT on top. */
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { encodeConnect, type ConnectFields } from '../kit/wire-encoder.ts'

export interface Peer extends Disposable {
  readonly socket: TLSSocket
  /** As the node sees it. */
  readonly address: string
  /** Serial number of the server's certificate; empty if the handshake failed. */
  readonly serial: string
  readonly reused: boolean
  /** Code of CONNACK; undefined if the connection ended without one. */
  readonly returnCode: number | undefined
  /** The newest ticket. */
  readonly ticket: Buffer | undefined
  /** Code of the error that ended the connection, if there was one. */
  readonly error: string | undefined
}

/**
 * Connects, sends CONNECT, waits for CONNACK or the end. The newest TLS 1.3 ticket comes behind the
 * handshake, so it is there when CONNACK is.
 */
export async function meet(options: ConnectionOptions, mqtt: ConnectFields = {}): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', ...options })
  const seen: { ticket?: Buffer; error?: string } = {}
  let serial = ''
  let address = ''
  let reused = false
  socket.on('session', (session: Buffer) => {
    seen.ticket = session
  })
  socket.once('connect', () => {
    address = `${socket.localAddress}:${socket.localPort}`
  })
  socket.once('secureConnect', () => {
    serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
    reused = socket.isSessionReused()
    socket.write(encodeConnect(mqtt))
  })
  const returnCode = await new Promise<number | undefined>((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes[0] === 0x20 ? bytes[3] : undefined))
    socket.once('close', () => resolve(undefined))
    socket.on('error', (error: Error & { code?: string }) => {
      seen.error = error.code ?? error.message
      resolve(undefined)
    })
  })
  return {
    socket,
    address,
    serial,
    reused,
    returnCode,
    ticket: seen.ticket,
    error: seen.error,
    [Symbol.dispose]: () => void socket.destroy(),
  }
}
