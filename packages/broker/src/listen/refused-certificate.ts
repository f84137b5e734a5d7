/**
 * The end of a connection whose certificate TLS has taken and the node has not: revoked, ended since the ticket was
 * given, of an authority that is gone. Node can send no TLS alert for it, so the client is told in its own protocol:
 * CONNACK 0x05, or 403 where HTTP comes first.
 *
 * In: the first bytes of the client, of which only the kind is looked at. Out: one refusal. Bounds: `ANSWER_MS` to
 * wait for them.
 */
import { encodeConnack, PacketType } from '@breakwater/mqtt'
import type { IncomingSocket } from './incoming-socket.ts'

/** CONNECT follows the handshake at once; who does not send it need not be told. */
const ANSWER_MS = 2_000
const NOT_AUTHORIZED = 5
const FORBIDDEN = 'HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/** @param connackSent called when it was CONNACK */
export function refuseCertificate(
  incoming: IncomingSocket,
  why: string,
  speaks: 'mqtt' | 'http',
  connackSent: (code: number) => void,
): void {
  const { stream } = incoming
  const refuse = (): void => incoming.refuse('certificate-refused', why)
  const late = setTimeout(refuse, ANSWER_MS).unref()
  stream.once('close', () => {
    clearTimeout(late)
    refuse()
  })
  stream.once('data', (bytes: Buffer) => {
    clearTimeout(late)
    if (speaks === 'http') incoming.refuseWith(FORBIDDEN, 'certificate-refused', why)
    else if ((bytes[0] as number) >> 4 === PacketType.CONNECT) {
      connackSent(NOT_AUTHORIZED)
      incoming.refuseWith(encodeConnack(NOT_AUTHORIZED, false), 'certificate-refused', why)
    } else refuse()
  })
}
