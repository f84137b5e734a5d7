import { expect, it } from 'vitest'
import { slotOf } from './slot.ts'

it.each([
  // What CLUSTER KEYSLOT of Redis 7.0 says.
  ['123456789', 12_739],
  ['foo', 12_182],
  ['{foo}bar', 12_182],
  ['a{foo}{bar}', 12_182],
  ['foo{}{bar}', 8_363],
  ['foo{{bar}}zap', 4_015],
  ['', 0],
])('the Redis Cluster slot of the key %s is %i', (key, slot) => {
  expect(slotOf(key)).toBe(slot)
})
