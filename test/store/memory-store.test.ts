import { MemoryStore } from '@breakwater/store'
import { storeCompliance } from '@breakwater/store/compliance'
import { describe, test } from 'vitest'
import { queueBounds } from './redis-stores.ts'

describe('the memory store', () => {
  storeCompliance({ describe, test }, async (options = {}) => {
    const store = new MemoryStore({ ...queueBounds, ...options })
    return { store, other: store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  })
})
