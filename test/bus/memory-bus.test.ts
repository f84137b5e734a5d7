import { MemoryBusHub } from '@breakwater/bus'
import { busCompliance } from '@breakwater/bus/compliance'
import { describe, expect, test } from 'vitest'

describe('the memory bus', () => {
  busCompliance({ describe, test }, async () => {
    const hub = new MemoryBusHub()
    return { join: async () => hub.join(), [Symbol.asyncDispose]: async () => undefined }
  })

  test('of a single node reports that no other node exists', async () => {
    const hub = new MemoryBusHub()
    const only = hub.join()
    expect(only.clustered).toBe(false)
    await using second = hub.join()
    expect([only.clustered, second.clustered]).toEqual([true, true])
  })
})
