import { describe, expect, it } from 'vitest'
import { SenderLog } from './sender-log.ts'

describe('a sender log', () => {
  it('recognises repeated frames of each sender independently', () => {
    const log = new SenderLog()
    expect([1, 2, 1, 2, 3, 3].map((number) => log.isNew('a', number))).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
    ])
    expect(log.isNew('b', 1)).toBe(true)
    expect([log.lastOf('a'), log.lastOf('never heard')]).toEqual([3, 0])
  })

  it('accepts a sender whose numbers begin late or have gaps', () => {
    const log = new SenderLog()
    expect([500, 700].map((number) => log.isNew('a', number))).toEqual([true, true])
  })

  it('forgets the senders that were silent for longest', () => {
    const log = new SenderLog()
    log.isNew('silent', 1)
    for (let sender = 0; sender < 10_000; sender += 1) {
      log.isNew(`${sender}`, 1)
      log.isNew('talking', sender + 1)
    }
    expect(log.isNew('talking', 10_000)).toBe(false)
    expect(log.isNew('silent', 1)).toBe(true)
  })
})
