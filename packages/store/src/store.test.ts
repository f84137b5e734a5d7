import { expect, it } from 'vitest'
import { packetIdOf } from './store.ts'

it('[MQTT-2.3.1-1] packet ids follow the position, go round and are never 0', () => {
  expect([1, 2, 65_535, 65_536, 131_070, 131_071].map(packetIdOf)).toEqual([
    1, 2, 65_535, 1, 65_535, 1,
  ])
})
