/** What of another broker's data a node here would have taken itself, by the same limits. */
import { isServerTopic, isValidTopicName, topicLevels } from '@breakwater/mqtt'
import type { Message } from '@breakwater/bus'
import type { Limits } from '@breakwater/config'

/** Fixed header, with the most that its length takes. */
const HEADER_BYTES = 5

/** Why what this client has left is not imported, or undefined: it could not connect here to have it. */
export function refusalOfClient(clientId: string, limits: Limits): string | undefined {
  if (clientId === '') return 'no client id'
  return Buffer.byteLength(clientId) > limits.clientIdBytesMax
    ? 'client id longer than clientIdBytesMax'
    : undefined
}

/** Why this message is not imported, or undefined. */
export function refusalOfMessage({ topic, payload }: Message, limits: Limits): string | undefined {
  if (!isValidTopicName(topic)) return 'invalid topic'
  const topicBytes = Buffer.byteLength(topic)
  if (topicBytes > limits.topicBytesMax) return 'topic longer than topicBytesMax'
  if (topicLevels(topic) > limits.topicLevelsMax) return 'topic of more levels than topicLevelsMax'
  if (HEADER_BYTES + 4 + topicBytes + payload.length > limits.packetBytesMax)
    return 'packet larger than packetBytesMax'
  return undefined
}

/** The same of what a client leaves behind: nobody may publish to the broker's own topics. */
export function refusalOfLasting(message: Message, limits: Limits): string | undefined {
  return isServerTopic(message.topic)
    ? "one of the broker's own topics"
    : refusalOfMessage(message, limits)
}
