import { expect, it } from 'vitest'
import { compareIds, idAfter } from './stream-id.ts'

it('stream ids are compared by time, then by sequence number, numerically', () => {
  const ids = ['9-10', '10-2', '10-10', '1763700000000-0']
  for (const [index, id] of ids.entries())
    for (const [other, otherId] of ids.entries())
      expect(Math.sign(compareIds(id, otherId))).toBe(Math.sign(index - other))
})

it('the next stream id follows directly', () => {
  expect(idAfter('1763700000000-9')).toBe('1763700000000-10')
})
