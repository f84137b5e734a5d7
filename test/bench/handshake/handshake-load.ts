/** Connections that come and go: TLS alone, or with CONNECT, CONNACK and DISCONNECT behind it. */
import { connect, type ConnectionOptions } from 'node:tls'
import { encodeConnect, encodeDisconnect } from '../../kit/wire-encoder.ts'

export interface Visits {
  readonly count: number
  /** Under way at once. */
  readonly parallel: number
  /** Whether the ticket of the options is to be taken. */
  readonly resumes: boolean
  /** Whether MQTT follows. */
  readonly connects: boolean
}

/** What devices have; the post-quantum group would cost everybody the same more. */
const GROUP = 'X25519'

/** One visit; gives the newest ticket. @throws {Error} it was not accepted, or not resumed as it should have been */
export function visit(
  options: ConnectionOptions,
  clientId: string,
  { resumes, connects }: Pick<Visits, 'resumes' | 'connects'>,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    let ticket: Buffer | undefined
    let isDone = false
    const end = (bytes: Buffer | undefined): void => {
      isDone = true
      if (bytes === undefined) socket.end()
      else socket.end(bytes)
    }
    const socket = connect({
      host: '127.0.0.1',
      servername: 'localhost',
      minVersion: 'TLSv1.3',
      ecdhCurve: GROUP,
      ...options,
    })
    socket.on('session', (session: Buffer) => {
      ticket = session
    })
    socket.once('secureConnect', () => {
      if (socket.isSessionReused() !== resumes)
        socket.destroy(new Error(resumes ? 'was not resumed' : 'was resumed'))
      else if (connects) socket.write(encodeConnect({ clientId }))
      else end(undefined)
    })
    socket.once('data', (bytes: Buffer) => {
      if (bytes[0] === 0x20 && bytes[3] === 0) end(encodeDisconnect())
      else socket.destroy(new Error(`was refused: ${bytes.toString('hex')}`))
    })
    // A server that has closed already answers the last bytes with a reset.
    socket.on('error', (error) => {
      if (!isDone) reject(error)
    })
    socket.once('close', () => resolve(ticket))
  })
}

/** @throws {Error} one of them failed */
export async function visitAll(options: ConnectionOptions, visits: Visits): Promise<void> {
  let begun = 0
  const one = async (worker: number): Promise<void> => {
    while (begun < visits.count) {
      begun += 1
      await visit(options, `visitor-${worker}`, visits)
    }
  }
  await Promise.all(Array.from({ length: visits.parallel }, (_, worker) => one(worker)))
}
