/**
 * Why a connection ended: the closed list used by log lines, metric labels and CONNACK. Every connection
 * ends with exactly one of these.
 */
export interface CloseReason {
  /** What the client is told in CONNACK, where the connection ends before it was accepted. */
  readonly connackCode?: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** Who has to do something about it. */
  readonly fault: 'nobody' | 'client' | 'server' | 'operator'
  readonly meaning: string
}

export const CLOSE_REASONS = {
  disconnected: {
    logLevel: 'debug',
    fault: 'nobody',
    meaning: 'the client sent DISCONNECT',
  },
  'connection-lost': {
    logLevel: 'info',
    fault: 'nobody',
    meaning: 'the peer closed or reset the connection without DISCONNECT',
  },
  'health-check': {
    logLevel: 'debug',
    fault: 'nobody',
    meaning: 'the peer ended the connection without having sent a byte, as TCP health checks do',
  },
  'socket-error': {
    logLevel: 'info',
    fault: 'nobody',
    meaning: 'the network failed under the connection',
  },
  'taken-over': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'the same client id connected again [MQTT-3.1.4-2]',
  },
  'keep-alive-timeout': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'nothing came for one and a half keep-alive intervals [MQTT-3.1.2-24]',
  },
  'connections-full': {
    logLevel: 'debug',
    fault: 'operator',
    meaning: 'connectionsMax sockets were open',
  },
  overloaded: {
    logLevel: 'debug',
    fault: 'operator',
    meaning: 'the event loop was later than loopDelayMaxMs when the socket came',
  },
  'held-full': {
    logLevel: 'debug',
    fault: 'operator',
    meaning: 'heldMax sockets were already waiting for admission',
  },
  'held-too-long': {
    logLevel: 'debug',
    fault: 'operator',
    meaning: 'the node did not admit it within heldTimeoutMs',
  },
  'address-rate': {
    logLevel: 'debug',
    fault: 'client',
    meaning: 'more connects than connectsPerAddressPerSecondMax from its address',
  },
  'handshake-timeout': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'a PROXY header, TLS or a WebSocket was not finished in time',
  },
  'handshake-failed': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'TLS failed: plain text, an old version, an unknown protocol',
  },
  'certificate-refused': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'a client certificate that is missing, not trusted, not valid now, or revoked',
  },
  'proxy-refused': {
    logLevel: 'info',
    fault: 'operator',
    meaning: 'the PROXY header was missing or malformed, or the address is not one of `proxies`',
  },
  'websocket-refused': {
    logLevel: 'info',
    fault: 'client',
    meaning:
      'an HTTP request that is not a WebSocket for MQTT: wrong path, origin or sub-protocol [MQTT-6.0.0-3]',
  },
  'connect-timeout': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'no complete CONNECT arrived within connectTimeoutMs [MQTT-3.1.0-1]',
  },
  'malformed-packet': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'bytes that are not an MQTT packet',
  },
  'protocol-violation': {
    logLevel: 'info',
    fault: 'client',
    meaning:
      'a packet that is not allowed here, such as a second CONNECT [MQTT-3.1.0-2] or PUBREC for a message of QoS 1',
  },
  'packet-too-large': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'a packet above packetBytesMax, or a CONNECT above connectBytesMax',
  },
  'topic-too-long': {
    logLevel: 'info',
    fault: 'client',
    meaning: 'a topic above topicBytesMax or topicLevelsMax',
  },
  'receive-maximum-exceeded': {
    logLevel: 'info',
    fault: 'client',
    meaning:
      'more unreleased QoS 2 publishes than inboundQos2Max, inboundQos2BytesMax or, of its user, inboundQos2BytesPerUserMax',
  },
  'unsupported-protocol-version': {
    connackCode: 1,
    logLevel: 'info',
    fault: 'client',
    meaning: 'not MQTT 3.1 or 3.1.1 [MQTT-3.1.2-2]',
  },
  'client-id-rejected': {
    connackCode: 2,
    logLevel: 'info',
    fault: 'client',
    meaning:
      'a client id that is not allowed, or above clientIdBytesMax [MQTT-3.1.3-8] [MQTT-3.1.3-9]',
  },
  'user-connections-full': {
    connackCode: 3,
    logLevel: 'info',
    fault: 'client',
    meaning: 'its user, or its address, had connectionsPerUserMax connections at this node',
  },
  'user-sessions-full': {
    connackCode: 3,
    logLevel: 'info',
    fault: 'client',
    meaning:
      'it asked for a session, and its user, or its address, had sessionsPerUserMax stored ones',
  },
  'bad-credentials': {
    connackCode: 4,
    logLevel: 'info',
    fault: 'client',
    meaning:
      'wrong user name or password, a user name above usernameBytesMax, or credentials that nothing here can check',
  },
  'login-rate': {
    connackCode: 3,
    logLevel: 'info',
    fault: 'client',
    meaning: 'too many failed logins of its user name or address',
  },
  'logins-full': {
    connackCode: 3,
    logLevel: 'info',
    fault: 'operator',
    meaning: 'more logins waited to be checked than the node can check in time',
  },
  'login-expired': {
    connackCode: 4,
    logLevel: 'info',
    fault: 'client',
    meaning: 'the login of the client has ended: its token, or what the HTTP hook said',
  },
  'certificate-expired': {
    connackCode: 5,
    logLevel: 'info',
    fault: 'client',
    meaning: 'the certificate of the client has ended, before CONNACK or while it was connected',
  },
  revoked: {
    connackCode: 5,
    logLevel: 'info',
    fault: 'operator',
    meaning: 'its certificate, client id or user was revoked, now or before it came',
  },
  kicked: {
    connackCode: 3,
    logLevel: 'info',
    fault: 'operator',
    meaning: 'an operator has closed it by the admin API',
  },
  'session-lost': {
    connackCode: 3,
    logLevel: 'warn',
    fault: 'operator',
    meaning: 'Redis came back without a part of the session, as after a failover',
  },
  'access-revoked': {
    connackCode: 5,
    logLevel: 'info',
    fault: 'operator',
    meaning:
      'new access rules do not allow a subscription or a will that the client has, or is about to have',
  },
  'publish-denied': {
    logLevel: 'info',
    fault: 'client',
    meaning:
      'it published to a topic that its rules do not allow, and `BREAKWATER_PUBLISH_DENIED` is `close`',
  },
  'authentication-unavailable': {
    connackCode: 3,
    logLevel: 'warn',
    fault: 'operator',
    meaning: 'the login could not be checked: token keys or the HTTP hook did not answer',
  },
  'not-authorized': {
    connackCode: 5,
    logLevel: 'info',
    fault: 'client',
    meaning: 'no credentials where they are needed',
  },
  'store-unavailable': {
    connackCode: 3,
    logLevel: 'warn',
    fault: 'operator',
    meaning: 'the store did not take a message or a session in time',
  },
  stalled: {
    logLevel: 'warn',
    fault: 'client',
    meaning: 'the client took nothing for stallTimeoutMs',
  },
  'lease-lost': {
    logLevel: 'warn',
    fault: 'operator',
    meaning:
      'the node was cut off and declared dead: a clean QoS 1/2 subscriber may have missed messages',
  },
  'bus-overflow': {
    logLevel: 'warn',
    fault: 'operator',
    meaning: 'messages of other nodes to this one were lost: its inbox was full or gone',
  },
  'queue-overflow': {
    logLevel: 'warn',
    fault: 'client',
    meaning: 'a clean session had more QoS 1/2 messages waiting than its bound',
  },
  'retained-full': {
    logLevel: 'info',
    fault: 'client',
    meaning:
      'the message that it published could not be retained: retainedMessagesMax, retainedBytesMax, or one of those per user',
  },
  'subscriber-queue-full': {
    logLevel: 'warn',
    fault: 'operator',
    meaning: 'what it published found a full queue, and queuePolicy is close-publisher',
  },
  'shutting-down': {
    connackCode: 3,
    logLevel: 'info',
    fault: 'operator',
    meaning: 'the node stops',
  },
  'internal-error': {
    connackCode: 3,
    logLevel: 'error',
    fault: 'server',
    meaning: 'a defect of this broker; a line `unexpected error` of the log has the stack',
  },
} as const

export type CloseReasonId = keyof typeof CLOSE_REASONS

export const closeReasonIds: readonly CloseReasonId[] = Object.keys(
  CLOSE_REASONS,
) as CloseReasonId[]

export function closeReason(id: CloseReasonId): CloseReason {
  return CLOSE_REASONS[id]
}

/** Why a copy of a message was not delivered, for `breakwater_messages_dropped_total`. */
export const DROP_REASONS = [
  'slow-consumer',
  'queue-full',
  'session-gone',
  'denied',
  'bus-unavailable',
  'inbox-full',
  'inbox-gone',
  'retained-full',
  'retained-replay-limit',
] as const

export type DropReason = (typeof DROP_REASONS)[number]
