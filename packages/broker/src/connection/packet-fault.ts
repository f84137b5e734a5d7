import type { PacketFault } from '@breakwater/mqtt'
import type { CloseReasonId } from './close-reason.ts'

/** How a connection ends whose client sent such a packet. */
export const REASON_OF_FAULT: Readonly<Record<PacketFault, CloseReasonId>> = {
  malformed: 'malformed-packet',
  'protocol-error': 'protocol-violation',
  'unsupported-version': 'unsupported-protocol-version',
  'packet-too-large': 'packet-too-large',
  'topic-too-long': 'topic-too-long',
  'client-id-invalid': 'client-id-rejected',
  'username-too-long': 'bad-credentials',
}
