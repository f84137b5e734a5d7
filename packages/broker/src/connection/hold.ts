/** Why a connection is not read; several at once. */
export const Hold = {
  /** A control packet has effects under way; a data packet waits behind it. */
  CONTROL: 1,
  /** The other way round. */
  DATA: 2,
  /** `inboundMessagesMax` publishes wait for the store. */
  INBOUND: 4,
  /** The publish rate is used up. */
  RATE: 8,
  /** The client does not read what is written to it. */
  OUTBOUND: 16,
  /** A QoS 2 message of an earlier connection is being read from the store. */
  STORED: 32,
  /** It has had its share of this turn of the event loop. */
  TURN: 64,
  /** More waits to go to other nodes than leaves in a turn. */
  BUS: 128,
  /** Its control packets have used up their rate. */
  CONTROL_RATE: 512,
  /** The node stops: what the client has sent takes effect, and nothing more is taken. */
  DRAIN: 256,
} as const
