import { expect, it } from 'vitest'
import { packetIdOf, SHARED_PACKET_ID_MIN, sharedPacketIdOf } from './store.ts'

it('[MQTT-2.3.1-1] packet ids follow the queue position, wrap around and are never 0', () => {
  expect([1, 2, 57_343, 57_344, 114_686, 114_687].map(packetIdOf)).toEqual([
    1, 2, 57_343, 1, 57_343, 1,
  ])
})

it('packet ids of shared subscriptions are all ids outside the range of session queues', () => {
  expect([0, 1, 8_191, 8_192, 2 ** 52].map(sharedPacketIdOf)).toEqual([
    SHARED_PACKET_ID_MIN,
    SHARED_PACKET_ID_MIN + 1,
    65_535,
    SHARED_PACKET_ID_MIN,
    SHARED_PACKET_ID_MIN,
  ])
})
