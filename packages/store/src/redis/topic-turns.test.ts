import { describe, expect, it } from 'vitest'
import { TopicTurns } from './topic-turns.ts'

function setUp() {
  const turns = new TopicTurns<readonly [string]>()
  const said: string[] = []
  const enter = (topic: string) => turns.enter(topic, (what) => said.push(what))
  return { turns, said, enter }
}

describe('an append that becomes ready', () => {
  it('is reported in the order of the appends to its topic', () => {
    const { said, enter } = setUp()
    const [first, second, third] = ['t', 't', 't'].map(enter)
    second?.('second')
    third?.('third')
    expect(said).toEqual([])
    first?.('first')
    expect(said).toEqual(['first', 'second', 'third'])
    enter('t')('fourth')
    expect(said.at(-1)).toBe('fourth')
  })

  it('does not wait for another topic', () => {
    const { said, enter } = setUp()
    enter('slow')
    enter('t')('told')
    expect(said).toEqual(['told'])
  })

  it('is reported once, also when a callback throws or enters another append', () => {
    const { turns, said, enter } = setUp()
    const first = turns.enter('t', () => {
      enter('t')('entered meanwhile')
      throw new Error('its own fault')
    })
    enter('t')('second')
    expect(() => first('first')).toThrow('its own fault')
    expect(said).toEqual(['second', 'entered meanwhile'])
  })
})
