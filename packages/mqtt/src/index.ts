export { readConnect } from './connect-frame.ts'
export type {
  ConnectFrame,
  ConnectLimits,
  ConnectProperties,
  ConnectWill,
  ProtocolLevel,
} from './connect-frame.ts'
export {
  REFUSED,
  encodeConnect,
  encodeSubscribe,
  encodeUnsubscribe,
  encodeSuback,
} from './control-frames.ts'
export { FrameReader } from './frame-reader.ts'
export type { FrameBounds } from './frame-reader.ts'
export type { PacketFault } from './packet-fault.ts'
export { firstByteFaults, PacketType, packetTypeNames } from './packet-type.ts'
export { encodePublish } from './publish-frame.ts'
export type { PublishFrame } from './publish-frame.ts'
export type { QoS } from './qos.ts'
export { isSharedFilter, parseSharedFilter } from './shared-filter.ts'
export type { SharedFilter } from './shared-filter.ts'
export { encodeWithPacketId, encodeConnack } from './small-frames.ts'
export { readSubscribe, readUnsubscribe, readPacketId } from './subscribe-frame.ts'
export type { SubscribeFrame, UnsubscribeFrame } from './subscribe-frame.ts'
export {
  isValidTopicName,
  isValidTopicFilter,
  topicLevels,
  hasWildcard,
  isReservedTopic,
  topicMatchesFilter,
  isServerTopic,
} from './topic.ts'
export { readUtf8 } from './utf8.ts'
