/** What can be wrong with a packet. Whoever owns the connection says what that means for it. */
export type PacketFault =
  | 'malformed'
  | 'protocol-error'
  | 'unsupported-version'
  | 'packet-too-large'
  | 'topic-too-long'
  | 'client-id-invalid'
  | 'username-too-long'
