import { expect, it } from 'vitest'
import { TextPool } from './text-pool.ts'

it('a text pool takes at most twice the bytes of its live texts, plus the chunk it writes to', () => {
  const pool = new TextPool()
  const textOf = (id: number): string => `${id}`.padStart(250, id % 7 === 0 ? '😀' : 'x')
  const count = 20_000
  for (let id = 0; id < count; id++) pool.add(id, textOf(id))
  const most = pool.bytes
  // One in four stays, scattered over all chunks.
  for (let id = 0; id < count; id++) if (id % 4 !== 0) pool.remove(id)
  expect(pool.bytes).toBeLessThanOrEqual(most / 2 + 2 ** 20)
  for (let id = 0; id < count; id += 4) {
    expect(pool.text(id)).toBe(textOf(id))
    expect(pool.is(id, textOf(id))).toBe(true)
    expect(pool.is(id, textOf(id + 1))).toBe(false)
  }
})
