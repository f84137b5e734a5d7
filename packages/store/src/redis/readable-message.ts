/** Messages as they lie in Redis: one that cannot be read is left out, and told, and costs nobody else anything. */
import { decodeMessage, type Message } from '@breakwater/bus'
import { isValidTopicName } from '@breakwater/mqtt'
import { kindOfKey, type OnBadValue } from '@breakwater/redis'

/** Undefined: it cannot be read. `key`: where it lies. */
export function readableMessage(
  bytes: Buffer,
  key: string,
  onBadValue: OnBadValue,
): Message | undefined {
  let why = 'its topic is none'
  try {
    const message = decodeMessage(bytes)
    if (message.qos <= 2 && isValidTopicName(message.topic)) return message
  } catch (error) {
    why = (error as Error).message
  }
  onBadValue({ kind: kindOfKey(key).kind, key, why: `a message cannot be read: ${why}` })
  return undefined
}
