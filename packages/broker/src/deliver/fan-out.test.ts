import { Message } from '@breakwater/bus'
import { expect, test } from 'vitest'
import { FanOut } from './fan-out.ts'

test('a fan-out encodes a message once per QoS, for any number of subscribers [MQTT-3.3.1-9]', () => {
  const fanOut = new FanOut(new Message('t', Buffer.from('x'), 2, true))
  const frames = ([0, 1, 2] as const).map((qos) => fanOut.frame(qos))
  expect(frames.map(({ bytes }) => bytes[0])).toEqual([0x30, 0x32, 0x34])
  for (const qos of [0, 1, 2] as const) expect(fanOut.frame(qos)).toBe(frames[qos])
})
