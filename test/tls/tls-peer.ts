/** A TLS client of a node: what it was shown, the tickets that it got, and MQTT on top. */
import { once } from 'node:events'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { encodeConnect, type ConnectFields } from '../kit/wire-encoder.ts'

export interface Peer {
  readonly socket: TLSSocket
  /** Serial number of the server's certificate. */
  readonly serial: string
  readonly reused: boolean
  /** Code of CONNACK; undefined if the connection ended without one. */
  readonly returnCode: number | undefined
  /** The newest ticket. */
  readonly ticket: Buffer | undefined
}

/**
 * Connects, sends CONNECT, waits for CONNACK or the end. The newest TLS 1.3 ticket comes behind the
 * handshake, so it is there when CONNACK is.
 *
 * @throws what the handshake failed with
 */
export async function meet(
  options: ConnectionOptions,
  mqtt: ConnectFields = {},
): Promise<Peer & Disposable> {
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', ...options })
  let ticket: Buffer | undefined
  socket.on('session', (session: Buffer) => {
    ticket = session
  })
  await once(socket, 'secureConnect')
  const serial = socket.getPeerX509Certificate()?.serialNumber ?? ''
  const reused = socket.isSessionReused()
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  socket.once('data', (bytes: Buffer) => resolve(bytes[0] === 0x20 ? bytes[3] : undefined))
  socket.once('close', () => resolve(undefined))
  socket.on('error', () => resolve(undefined))
  socket.write(encodeConnect(mqtt))
  const returnCode = await promise
  return {
    socket,
    serial,
    reused,
    returnCode,
    ticket: ticket ?? socket.getSession(),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}
