import { describe, expect, it } from 'vitest'
import { SenderLog } from './sender-log.ts'

describe('a sender log', () => {
  it('knows what comes a second time, of each sender and channel by itself', () => {
    const log = new SenderLog()
    expect([1, 2, 1, 2, 3, 3].map((number) => log.isNew('messages', 'a', number))).toEqual([
      true,
      true,
      false,
      false,
      true,
      false,
    ])
    expect(log.isNew('messages', 'b', 1)).toBe(true)
    expect(log.isNew('notices', 'a', 1)).toBe(true)
  })

  it('takes a sender that begins late or leaves numbers out', () => {
    const log = new SenderLog()
    expect([500, 700].map((number) => log.isNew('messages', 'a', number))).toEqual([true, true])
  })

  it('forgets those that were silent for longest', () => {
    const log = new SenderLog()
    log.isNew('messages', 'silent', 1)
    for (let sender = 0; sender < 10_000; sender += 1) {
      log.isNew('messages', `${sender}`, 1)
      log.isNew('messages', 'talking', sender)
    }
    expect(log.isNew('messages', 'talking', 9_999)).toBe(false)
    expect(log.isNew('messages', 'silent', 1)).toBe(true)
  })
})
